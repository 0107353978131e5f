"""Clients in Go besides those of `clients.py`: mirrors, builders and bundlers, and newer releases of two others.

They join the same tables. Those that are slow to build are tried at night only (`Client.nightly`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import yaml

from harness.clients import Client, Crane, Credentials, Ctr, Docker, Start
from harness.images import Image
from harness.processes import Daemon, Output
from harness.programs import TOOLS, need
from harness.registries import Registry


class Gcrane(Crane):
    """crane with more for Google's registries; it asks for tokens as crane does."""

    name = "gcrane"
    program = "gcrane"
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "gcrane auth login stores without asking; a wrong password shows at the next command"
    }


class Regsync(Client):
    """regclient's mirror. It is given a list of what to copy; an OCI layout may be one end of a copy."""

    name = "regsync"
    program = "regsync"
    refusal = "unauthorized"
    one_identity = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "uses what other clients stored",
        "delete": "has no command for it",
        "catalog": "lists repositories only as a part of a copy of a whole registry",
    }

    def sync(self, registry: Registry, copies: Sequence[tuple[str, str]]) -> Output:
        """Copy each source to its target, once, one after the other."""
        config = self.machine.folder / "regsync.yml"
        content = {
            "version": 1,
            "creds": [{"registry": registry.host, "tls": "disabled"}],
            "sync": [{"source": source, "target": target, "type": "image"} for source, target in copies],
        }
        config.write_text(yaml.safe_dump(content))
        return self.run("once", "--config", config)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.sync(registry, [(f"ocidir://{image.layout}:latest", f"{registry.host}/{repository}:1")])

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.sync(registry, [(f"{registry.host}/{repository}:1", f"ocidir://{self.machine.folder}/pulled:1")])

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        assert reader is None, "both sides have the same credentials"
        return self.sync(registry, [(f"{registry.host}/{source}:1", f"{registry.host}/{target}:1")])


class Imgpkg(Client):
    """Carvel's bundler: it pushes files as an image, and copies images between repositories."""

    name = "imgpkg"
    program = "imgpkg"
    refusal = "UNAUTHORIZED: authentication required"
    one_identity = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "uses what other clients stored",
        "delete": "has no command for it",
        "catalog": "has no command for it",
    }

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.run("push", "--image", f"{registry.host}/{repository}:1", "--file", image.layer)

    def pull(self, registry: Registry, repository: str) -> Output:
        target = self.machine.folder / "pulled"
        return self.run("pull", "--image", f"{registry.host}/{repository}:1", "--output", target)

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        assert reader is None, "both sides have the same credentials"
        return self.run("copy", "--image", f"{registry.host}/{source}:1", "--to-repo", f"{registry.host}/{target}")


class Ko(Client):
    """Builds a Go program onto a base image, and pushes both. It runs the machine's Go."""

    name = "ko"
    program = "ko"
    refusal = "UNAUTHORIZED: authentication required"
    one_identity = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "ko login stores without asking; a wrong password shows at the next command",
        "delete": "has no command for it",
        "mount": "copies the layers of a base image only; see push",
        "catalog": "has no command for it",
    }
    base = "public/ko-base"
    """Where the base image of every push is."""

    def prepare(self) -> None:
        go = need("go")
        folder = self.machine.folder
        source = folder / "program"
        source.mkdir()
        (source / "go.mod").write_text("module example.com/program\n\ngo 1.18\n")
        (source / "main.go").write_text("package main\n\nfunc main() {}\n")
        self.machine.environment |= {
            "PATH": f"{go.parent}:{self.machine.environment['PATH']}",
            # Go's runtime takes seconds to compile, and is the same in every test.
            "GOCACHE": str(TOOLS.parent / "go-build"),
            "GOPATH": str(folder / "go"),
            "GOFLAGS": "-mod=mod",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
        }

    def build(self, base: str, *arguments: str, repository: str) -> Output:
        """Build the program onto this base."""
        words = ("build", "--bare", "--sbom=none", "--tags=1", *arguments, ".")
        environment = {"KO_DEFAULTBASEIMAGE": base, "KO_DOCKER_REPO": repository}
        script = 'cd "$HOME/program" && exec "$@"'
        return self.machine.run("sh", "-c", script, "sh", self.file, *words, environment=environment)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        registry.put(self.base, image)
        return self.build(f"{registry.host}/{self.base}:1", repository=f"{registry.host}/{repository}")

    def pull(self, registry: Registry, repository: str) -> Output:
        tarball = self.machine.folder / "pulled.tar"
        base = f"{registry.host}/{repository}:1"
        return self.build(base, "--push=false", f"--tarball={tarball}", repository="example.com/program")


class CtrHosts(Ctr):
    """ctr that is told by a `hosts.toml` how to reach the registry, as nodes of Kubernetes are."""

    name = "ctr-hosts"

    def where(self, registry: Registry) -> tuple[str | Path, ...]:
        hosts = self.machine.folder / "certs.d"
        folder = hosts / registry.host
        folder.mkdir(parents=True, exist_ok=True)
        address = f"http://{registry.host}"
        (folder / "hosts.toml").write_text(
            f'server = "{address}"\n[host."{address}"]\ncapabilities = ["pull", "resolve", "push"]\n'
        )
        return "--hosts-dir", hosts


class Docker28(Docker):
    """A docker command of today, which logs in by itself where no engine answers, and only with TLS."""

    name = "docker28"
    program = "docker28"
    nightly = True


class Ctr2(Ctr):
    """containerd 2's own command, whose pulls and pushes are done by the daemon's transfer service."""

    name = "ctr2"
    program = "ctr2"
    daemon = "containerd2"
    nightly = True
    uploads_instead = True

    def launch(self, start: Start) -> None:
        folder = self.machine.folder
        socket = folder / "c.sock"
        self.options = ("--address", socket)
        config = folder / "containerd.toml"
        config.write_text(
            f'version = 3\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", '
            '"io.containerd.cri.v1.runtime", "io.containerd.snapshotter.v1.zfs", '
            '"io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.blockfile", '
            '"io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt", '
            '"io.containerd.nri.v1.nri"]\n'
            f'[grpc]\naddress = "{socket}"\n'
            "[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]\n"
            'platform = "linux/amd64"\nsnapshotter = "native"\n'
        )
        command = self.machine.enter([need(self.daemon), "--config", config])
        start(
            Daemon(self.daemon, command, environment=self.machine.environment, folder=folder),
            lambda: socket.exists() and self.run("version").ok,
        )
