"""The clients, each behind the same few verbs. What a client cannot do is said in `cannot`, with the reason.

Credentials lie where the client's own login would have put them (`Machine.sign_in`), so that a verb is one command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from harness.images import Image
from harness.machine import Machine
from harness.processes import Daemon, Output
from harness.programs import need, need_root
from harness.registries import Registry

VERBS = ("login", "push", "pull", "delete", "mount", "catalog")

Credentials = tuple[str, str]
"""A user and a password."""

Start = Callable[[Daemon, Callable[[], bool]], None]
"""Starts a daemon that ends with the test."""


class Client:
    """A client on a machine of its own. Every verb gives the output of its command."""

    name = ""
    program = ""
    cannot: ClassVar[Mapping[str, str]] = {}
    """Verbs that the client lacks, and why."""
    has_daemon = False
    needs_root = False
    nightly = False
    """Its program is slow to build: only `scripts/real-servers --nightly` installs it, and only the night tries it."""
    one_identity = False
    """Asks for a mount only where the same credentials read the source and write the target."""
    uploads_instead = True
    """Uploads what the registry does not mount; the others give up."""
    method = "GET"
    """How it asks for a token when it has credentials."""
    refusal = ""
    """What it says when a token carries less than the registry wants."""
    wrong_password = "{message}"
    """What its login says of a wrong password; `{message}` is the server's own text."""
    tag = "1"
    """The tag that it pushes."""

    def __init__(self, machine: Machine, start: Start) -> None:
        self.machine = machine
        self.file = need(self.program)
        if self.needs_root:
            need_root(self.program)
        self.options: tuple[str | Path, ...] = ()
        self.prepare()
        self.launch(start)

    def prepare(self) -> None:
        """Set up what the client's commands need."""

    def launch(self, start: Start) -> None:
        """Start the client's daemon, if it has one."""

    def run(self, *arguments: str | Path, stdin: str = "", environment: Mapping[str, str] | None = None) -> Output:
        """Run one command of the client."""
        return self.machine.run(self.file, *self.options, *arguments, stdin=stdin, environment=environment)

    def login(self, registry: Registry, user: str, password: str) -> Output:
        """Log in by the client's own command, the password on standard input."""
        raise NotImplementedError(self.cannot["login"])

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        """Push the image with the client's tag."""
        raise NotImplementedError(self.cannot["push"])

    def pull(self, registry: Registry, repository: str) -> Output:
        """Pull the tag `1`, every byte of it."""
        raise NotImplementedError(self.cannot["pull"])

    def delete(self, registry: Registry, repository: str, image: Image) -> Output:
        """Delete the image from the registry."""
        raise NotImplementedError(self.cannot["delete"])

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        """Copy the tag `1` within the registry, so that the client asks for the blobs to be mounted.

        The source is read as `reader`, where that is somebody else, unless the client has `one_identity`.
        """
        raise NotImplementedError(self.cannot["mount"])

    def catalog(self, registry: Registry) -> Output:
        """List the registry's repositories."""
        raise NotImplementedError(self.cannot["catalog"])

    def read(self, registry: Registry, repository: str, reader: Credentials | None) -> None:
        """Pull as `reader`, then be again who the client was."""
        stored = self.machine.user(registry.host)
        if reader is not None:
            self.machine.sign_in(registry.host, *reader)
        pulled = self.pull(registry, repository)
        assert pulled.ok, str(pulled)
        if stored is not None:
            self.machine.sign_in(registry.host, *stored)


class Docker(Client):
    """Debian's docker command without an engine: it logs in by itself, and everything else needs an engine."""

    name = "docker"
    wrong_password = "unauthorized: {message}"
    program = "docker"
    cannot: ClassVar[Mapping[str, str]] = dict.fromkeys(VERBS[1:], "needs an engine; see dockerd")

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.run("login", "--username", user, "--password-stdin", registry.host, stdin=password)


class Dockerd(Client):
    """The docker engine: 20.10 and every later one with the classic image store send the same requests."""

    name = "dockerd"
    wrong_password = "unauthorized: {message}"
    refusal = "denied: requested access to the resource is denied"
    program = "dockerd"
    needs_root = True
    has_daemon = True
    cannot: ClassVar[Mapping[str, str]] = {
        "delete": "docker rmi is local; the engine never deletes in a registry",
        "catalog": "docker search asks /v1/search, which no registry has",
    }

    def launch(self, start: Start) -> None:
        self.file = need("docker")
        need("containerd")
        need("runc")
        folder = self.machine.folder
        socket = folder / "d.sock"
        self.machine.environment["DOCKER_HOST"] = f"unix://{socket}"
        daemon = Daemon(
            "dockerd",
            self.machine.enter(
                [
                    need(self.program),
                    *("--data-root", folder / "data"),
                    *("--exec-root", folder / "exec"),
                    *("--host", f"unix://{socket}"),
                    *("--pidfile", folder / "dockerd.pid"),
                    *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
                    *("--storage-driver=vfs", "--userland-proxy=false"),
                ]
            ),
            environment=self.machine.environment,
            folder=folder,
        )
        start(daemon, lambda: socket.exists() and self.run("version").ok)

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.run("login", "--username", user, "--password-stdin", registry.host, stdin=password)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        name = f"{registry.host}/{repository}:1"
        imported = self.run("import", image.layer, name)
        assert imported.ok, str(imported)
        return self.run("push", name)

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.run("pull", f"{registry.host}/{repository}:1")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        self.read(registry, source, reader)
        names = [f"{registry.host}/{repository}:1" for repository in (source, target)]
        tagged = self.run("tag", *names)
        assert tagged.ok, str(tagged)
        return self.run("push", names[1])


class Skopeo(Client):
    name = "skopeo"
    refusal = "denied: requested access to the resource is denied"
    wrong_password = "invalid username/password"
    program = "skopeo"
    cannot: ClassVar[Mapping[str, str]] = {"catalog": "has no command for it; list-tags is about one repository"}

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.run(
            "login", "--tls-verify=false", "--username", user, "--password-stdin", registry.host, stdin=password
        )

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.run(
            "copy", "--dest-tls-verify=false", f"oci:{image.layout}:latest", f"docker://{registry.host}/{repository}:1"
        )

    def pull(self, registry: Registry, repository: str) -> Output:
        target = self.machine.folder / "pulled"
        return self.run("copy", "--src-tls-verify=false", f"docker://{registry.host}/{repository}:1", f"dir:{target}")

    def delete(self, registry: Registry, repository: str, image: Image) -> Output:
        return self.run("delete", "--tls-verify=false", f"docker://{registry.host}/{repository}@{image.digest}")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        # It asks only for blobs that it has met before, under a name that it remembers.
        self.read(registry, source, reader)
        names = [f"docker://{registry.host}/{repository}:1" for repository in (source, target)]
        other = () if reader is None else ("--src-creds", ":".join(reader))
        return self.run("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *other, *names)


class Podman(Client):
    name = "podman"
    refusal = "denied: requested access to the resource is denied"
    wrong_password = "invalid username/password"
    program = "podman"
    needs_root = True
    cannot: ClassVar[Mapping[str, str]] = {"delete": "podman rmi is local"}

    def prepare(self) -> None:
        folder = self.machine.folder
        self.options = ("--root", folder / "storage", "--runroot", folder / "runroot", "--storage-driver=vfs")

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.run(
            "login", "--tls-verify=false", "--username", user, "--password-stdin", registry.host, stdin=password
        )

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        pulled = self.run("pull", "--quiet", f"oci:{image.layout}:latest")
        assert pulled.ok, str(pulled)
        identity = pulled.stdout.split()[-1]
        return self.run("push", "--tls-verify=false", identity, f"docker://{registry.host}/{repository}:1")

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.run("pull", "--tls-verify=false", f"{registry.host}/{repository}:1")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        self.read(registry, source, reader)
        names = [f"{registry.host}/{repository}:1" for repository in (source, target)]
        tagged = self.run("tag", *names)
        assert tagged.ok, str(tagged)
        return self.run("push", "--tls-verify=false", names[1])

    def catalog(self, registry: Registry) -> Output:
        return self.run("search", "--tls-verify=false", "--no-trunc", "--limit", "100", f"{registry.host}/")


class Buildah(Podman):
    name = "buildah"
    program = "buildah"
    cannot: ClassVar[Mapping[str, str]] = {
        "delete": "buildah rmi is local",
        "catalog": "has no command for it",
    }

    def login(self, registry: Registry, user: str, password: str) -> Output:
        # The storage flags are of no use to it, and it is the only one of the three that refuses them.
        return self.machine.run(
            self.file,
            *("login", "--tls-verify=false", "--username", user, "--password-stdin", registry.host),
            stdin=password,
        )


class Crane(Client):
    name = "crane"
    refusal = "UNAUTHORIZED: authentication required"
    one_identity = True
    program = "crane"
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "crane auth login stores without asking; a wrong password shows at the next command"
    }

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.run(
            "append", "--oci-empty-base", "--new_layer", image.layer, "--new_tag", f"{registry.host}/{repository}:1"
        )

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.run("pull", f"{registry.host}/{repository}:1", self.machine.folder / "pulled.tar")

    def delete(self, registry: Registry, repository: str, image: Image) -> Output:
        return self.run("delete", f"{registry.host}/{repository}@{image.digest}")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        assert reader is None, "both sides have the same credentials"
        return self.run("copy", *(f"{registry.host}/{repository}:1" for repository in (source, target)))

    def catalog(self, registry: Registry) -> Output:
        return self.run("catalog", registry.host)


class Oras(Client):
    name = "oras"
    one_identity = True
    refusal = "unauthorized: authentication required"
    wrong_password = "unauthorized: {message}"
    program = "oras"

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.run("login", "--plain-http", "--username", user, "--password-stdin", registry.host, stdin=password)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.run(
            "push", "--plain-http", "--disable-path-validation", f"{registry.host}/{repository}:1", image.layer
        )

    def pull(self, registry: Registry, repository: str) -> Output:
        # `oras pull` takes only what has a file's name; an image has none, so all of it is copied.
        layout = f"{self.machine.folder / 'pulled'}:1"
        return self.run("copy", "--from-plain-http", f"{registry.host}/{repository}:1", "--to-oci-layout", layout)

    def delete(self, registry: Registry, repository: str, image: Image) -> Output:
        return self.run("manifest", "delete", "--force", "--plain-http", f"{registry.host}/{repository}@{image.digest}")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        assert reader is None, "both sides have the same credentials"
        names = [f"{registry.host}/{repository}:1" for repository in (source, target)]
        return self.run("copy", "--from-plain-http", "--to-plain-http", *names)

    def catalog(self, registry: Registry) -> Output:
        return self.run("repo", "list", "--plain-http", registry.host)


class Regctl(Client):
    name = "regctl"
    refusal = "unauthorized"
    wrong_password = "unauthorized"
    one_identity = True
    program = "regctl"

    def at(self, registry: Registry) -> tuple[str, str]:
        """The option that says the registry speaks plain HTTP."""
        return "--host", f"reg={registry.host},tls=disabled"

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.run(
            *self.at(registry), "registry", "login", "--user", user, "--pass-stdin", registry.host, stdin=password
        )

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        layout = f"ocidir://{image.layout}:latest"
        return self.run(*self.at(registry), "image", "copy", layout, f"{registry.host}/{repository}:1")

    def pull(self, registry: Registry, repository: str) -> Output:
        target = f"ocidir://{self.machine.folder / 'pulled'}:1"
        return self.run(*self.at(registry), "image", "copy", f"{registry.host}/{repository}:1", target)

    def delete(self, registry: Registry, repository: str, image: Image) -> Output:
        return self.run(*self.at(registry), "manifest", "delete", f"{registry.host}/{repository}@{image.digest}")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        assert reader is None, "both sides have the same credentials"
        names = [f"{registry.host}/{repository}:1" for repository in (source, target)]
        return self.run(*self.at(registry), "image", "copy", *names)

    def catalog(self, registry: Registry) -> Output:
        return self.run(*self.at(registry), "repo", "list", registry.host)


class Ctr(Client):
    """containerd's own command, with a containerd of its own. It keeps no credentials: each command is given them."""

    name = "ctr"
    uploads_instead = False
    refusal = "insufficient_scope: authorization failed"
    method = "POST"
    program = "ctr"
    needs_root = True
    has_daemon = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "keeps no credentials",
        "delete": "ctr images rm is local",
        "catalog": "has no command for it",
    }

    def launch(self, start: Start) -> None:
        folder = self.machine.folder
        socket = folder / "c.sock"
        self.options = ("--address", socket)
        config = folder / "containerd.toml"
        config.write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.zfs", '
            '"io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", '
            '"io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]\n'
            f'[grpc]\naddress = "{socket}"\n'
        )
        command = self.machine.enter([need("containerd"), "--config", config])
        daemon = Daemon("containerd", command, environment=self.machine.environment, folder=folder)
        start(daemon, lambda: socket.exists() and self.run("version").ok)

    def where(self, registry: Registry) -> tuple[str | Path, ...]:  # noqa: ARG002 - for clients with a file for each registry
        """The options that say how the registry is reached."""
        return ("--plain-http",)

    def _credentials(self, registry: Registry) -> list[str]:
        stored = self.machine.user(registry.host)
        return [] if stored is None else ["--user", ":".join(stored)]

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        name = f"{registry.host}/{repository}:1"
        imported = self.run("images", "import", "--no-unpack", "--index-name", name, image.archive)
        assert imported.ok, str(imported)
        return self.run("images", "push", *self.where(registry), *self._credentials(registry), name)

    def pull(self, registry: Registry, repository: str) -> Output:
        name = f"{registry.host}/{repository}:1"
        return self.run(
            "images", "pull", *self.where(registry), "--snapshotter=native", *self._credentials(registry), name
        )

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        self.read(registry, source, reader)
        names = [f"{registry.host}/{repository}:1" for repository in (source, target)]
        tagged = self.run("images", "tag", *names)
        assert tagged.ok, str(tagged)
        return self.run("images", "push", *self.where(registry), *self._credentials(registry), names[1])


CLIENTS: tuple[type[Client], ...] = (Docker, Dockerd, Skopeo, Podman, Buildah, Crane, Oras, Regctl, Ctr)
