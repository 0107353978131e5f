"""Clients that are libraries or build tools, and not written in Go; each is a command here, with a `Client`'s verbs.

Not among `CLIENTS`: some speak TLS alone, some only read, and one keeps its first token. What they cannot do is in
`cannot`, and what they do on the wire in `Facts`; docs/compatibility.md prints both, and tests hold both.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from harness.clients import Client, Dockerd, Start
from harness.images import Image
from harness.processes import Output, java_options
from harness.programs import ROOT, need
from harness.registries import Registry

LIBRARY_VERBS = ("login", "push", "pull", "tags", "delete", "catalog")

_ENGINE = "the engine never does this in a registry"
_FIRST_TOKEN = "keeps its first token, which is for pull"


@dataclass(frozen=True)
class Facts:
    """What a client does on the wire. Scopes are those of one operation, in order; `NAME` is the repository."""

    pull: tuple[str, ...]
    push: tuple[str, ...]
    refused: int
    """How many tokens a pull asks for if the registry refuses it."""
    refused_push: range
    """The same for a push, of the tokens that are asked for `push`: this many or that many."""
    wrong_password: int
    """How many requests for a token a pull sends with a wrong password."""
    forbidden: int
    """The same if the server answers 403, as it does where TLS is missing."""
    unavailable: int
    """The same if the server answers 503 with `Retry-After: 1`."""


class Library(Client):
    """A client with its facts. `nightly` ones take minutes to install, or seconds for each command."""

    label = ""
    nightly = False
    secured = False
    """Sends passwords over TLS alone."""
    pushes_oci = True
    """Pushes manifests of the OCI; zot 1.4 takes no others."""
    facts: Facts
    push_refusal = ""
    """What a refused push ends with, where that is not `refusal`."""
    unauthorized = ""
    """What a pull with a wrong password ends with."""
    forbidden = ""
    """What a pull ends with if the token server answers 403."""
    unavailable = ""
    """What a pull ends with while the token server answers 503."""

    def tags(self, registry: Registry, repository: str) -> Output:
        """List the repository's tags."""
        raise NotImplementedError(self.cannot["tags"])


class DockerPy(Dockerd, Library):
    """The Python library docker, with an engine of its own: the engine asks for tokens, the library sends passwords."""

    name = "docker-py"
    label = "docker-py 7.2.0 (docker engine 20.10.24)"
    pushes_oci = False
    cannot: ClassVar[Mapping[str, str]] = dict.fromkeys(("delete", "catalog", "tags"), _ENGINE)
    facts = Facts(
        pull=("repository:NAME:pull",),
        push=("repository:NAME:pull,push",),
        refused=1,
        refused_push=range(1, 2),
        wrong_password=1,
        forbidden=1,
        unavailable=1,
    )
    unauthorized = "unauthorized: {message}"
    forbidden = "denied: {message}"
    unavailable = "received unexpected HTTP status: 503 Service Unavailable"

    def launch(self, start: Start) -> None:
        self.driver = need(self.name)
        super().launch(start)

    def drive(self, *words: str, stdin: str = "") -> Output:
        """Run the library."""
        return self.machine.run(self.driver, *words, stdin=stdin)

    def login(self, registry: Registry, user: str, password: str) -> Output:
        return self.drive("login", registry.host, user, stdin=password)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        name = f"{registry.host}/{repository}:1"
        imported = self.run("import", image.layer, name)
        assert imported.ok, str(imported)
        return self.drive("push", name)

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.drive("pull", f"{registry.host}/{repository}:1")


class OrasPy(Library):
    """The Python library oras. It keeps one token for everything, which it asked for at its first request."""

    name = "oras-py"
    label = "oras-py 0.2.43"
    program = "oras-py"
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "leaves it to a docker engine, or stores without asking",
        "push": _FIRST_TOKEN,
        "delete": _FIRST_TOKEN,
        "catalog": "has no function for it",
    }
    facts = Facts(
        pull=("repository:NAME:pull",),
        push=("repository:NAME:pull",),
        refused=1,
        refused_push=range(1, 2),
        wrong_password=6,
        forbidden=6,
        unavailable=6,
    )
    refusal = "authentication required"
    unauthorized = "Cannot respond to request for authentication."
    forbidden = "Cannot respond to request for authentication."
    unavailable = "Cannot respond to request for authentication."

    def try_to_push(self, registry: Registry, image: Image, repository: str) -> Output:
        """Push the layer with the tag `1`."""
        return self.run("push", f"{registry.host}/{repository}:1", image.layer)

    def try_to_delete(self, registry: Registry, repository: str) -> Output:
        """Delete the tag `1`."""
        return self.run("delete", f"{registry.host}/{repository}:1")

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.run("pull", f"{registry.host}/{repository}:1", self.machine.folder / "pulled")

    def tags(self, registry: Registry, repository: str) -> Output:
        return self.run("tags", f"{registry.host}/{repository}:1")


class Dxf(Library):
    """python-dxf by its own command. Its credentials are variables, and it sends none without TLS."""

    name = "dxf"
    label = "python-dxf 12.1.1"
    program = "dxf"
    secured = True
    facts = Facts(
        pull=("repository:NAME:pull",),
        push=("repository:NAME:pull", "repository:NAME:pull,push"),
        refused=1,
        refused_push=range(1, 2),
        wrong_password=1,
        forbidden=1,
        unavailable=1,
    )
    refusal = "DXFUnauthorizedError"
    unauthorized = "DXFUnauthorizedError"
    forbidden = "403 Client Error: Forbidden for url: https://"
    unavailable = "503 Server Error: Service Unavailable for url: https://"

    def at(self, registry: Registry) -> dict[str, str]:
        """The variables that say where and as whom."""
        assert registry.authority is not None, "it needs TLS"
        stored = self.machine.user(registry.host)
        found = {"DXF_HOST": registry.host, "DXF_TLSVERIFY": str(registry.authority.file)}
        return found | ({} if stored is None else {"DXF_USERNAME": stored[0], "DXF_PASSWORD": stored[1]})

    def login(self, registry: Registry, user: str, password: str) -> Output:
        self.machine.sign_in(registry.host, user, password)
        return self.run("auth", "login/check", environment=self.at(registry))

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.run("push-blob", repository, image.layer, "@1", environment=self.at(registry))

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.run("pull-blob", repository, "@1", environment=self.at(registry))

    def tags(self, registry: Registry, repository: str) -> Output:
        return self.run("list-aliases", repository, environment=self.at(registry))

    def delete(self, registry: Registry, repository: str, image: Image) -> Output:  # noqa: ARG002 - by its tag
        return self.run("del-alias", repository, "1", environment=self.at(registry))

    def catalog(self, registry: Registry) -> Output:
        return self.run("list-repos", environment=self.at(registry))


class Jib(Library):
    """Jib's plugin for Maven: a push is a build from `scratch`, a pull a build into a file from that base."""

    name = "jib"
    label = "Jib 3.5.2 (jib-maven-plugin)"
    program = "jib"
    nightly = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "has no login; it reads what docker login stored",
        "tags": "has no goal for it",
        "delete": "has no goal for it",
        "catalog": "has no goal for it",
    }
    facts = Facts(
        pull=("repository:NAME:pull",),
        push=("repository:NAME:pull,push",),
        refused=5,
        refused_push=range(5, 17),  # five tries for each of three blobs side by side, until one gives up
        wrong_password=1,
        forbidden=1,
        unavailable=1,
    )
    refusal = "Unauthorized for"
    over_http = True
    """Whether it may send passwords without TLS."""
    unauthorized = "Unauthorized for"
    forbidden = '"details": "{message}"'
    unavailable = '"details": "{message}"'

    def prepare(self) -> None:
        need("mvn")
        self.machine.environment["MAVEN_OPTS"] = java_options(self.machine.folder)
        self.project = self.machine.folder / "project"
        (self.project / "target" / "classes").mkdir(parents=True, exist_ok=True)
        (self.project / "pom.xml").write_bytes((ROOT / "tests" / "e2e" / "jib" / "pom.xml").read_bytes())

    def build(self, goal: str, base: str, target: str) -> Output:
        """Run a goal of the plugin."""
        options = (f"-DsendCredentialsOverHttp={str(self.over_http).lower()}", "-Djib.useOnlyProjectCache=true")
        names = (f"-Djib.from.image={base}", f"-Djib.to.image={target}")
        return self.run("--file", self.project / "pom.xml", *options, *names, f"jib:{goal}")

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        (self.project / "target" / "classes" / "hello").write_bytes(image.layer.read_bytes())
        return self.build("build", "scratch", f"{registry.host}/{repository}:1")

    def pull(self, registry: Registry, repository: str) -> Output:
        (self.project / "target" / "classes" / "hello").write_text("hello")
        return self.build("buildTar", f"{registry.host}/{repository}:1", "pulled")


class OciClient(Library):
    """The crate oci-client in a command of tests/e2e/oci_client."""

    name = "oci-client"
    label = "oci-client 0.18.0 (Rust)"
    program = "oci-client"
    nightly = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "has no login",
        "delete": "has no function for it",
        "catalog": "asks for the scope of an image, never for that of the catalog",
    }
    facts = Facts(
        pull=("repository:NAME:pull",),
        push=("repository:NAME:pull,push",),
        refused=1,
        refused_push=range(1, 2),
        wrong_password=1,
        forbidden=1,
        unavailable=1,
    )
    refusal = "Not authorized: url"
    push_refusal = "code: 401, message: "
    unauthorized = "Not authorized: url"
    forbidden = "Not authorized: url"
    unavailable = "Not authorized: url"

    def act(self, verb: str, registry: Registry, repository: str, *words: str) -> Output:
        """Run one operation with the stored credentials in variables."""
        stored = self.machine.user(registry.host)
        variables = {} if stored is None else {"OCI_USER": stored[0], "OCI_PASSWORD": stored[1]}
        return self.run(verb, f"{registry.host}/{repository}:1", *words, environment=variables)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        return self.act("push", registry, repository, str(image.layer))

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.act("pull", registry, repository)

    def tags(self, registry: Registry, repository: str) -> Output:
        return self.act("tags", registry, repository)

    def try_catalog(self, registry: Registry, repository: str) -> Output:
        """List the registry's repositories; the function wants an image, whose scope it asks for."""
        return self.act("catalog", registry, repository)


class Renovate(Library):
    """Renovate itself in a dry run over a folder with one Dockerfile: it looks up tags and the digest of its base."""

    name = "renovate"
    label = "Renovate 39.264.1"
    program = "renovate"
    nightly = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "has no login; hostRules are its credentials",
        "push": "only reads",
        "delete": "only reads",
        "catalog": "only reads images that a file names",
    }
    facts = Facts(
        pull=("repository:NAME:pull",),
        push=(),
        refused=1,
        refused_push=range(1, 2),
        wrong_password=1,
        forbidden=1,
        unavailable=1,
    )
    refusal = "Failed to look up docker package"
    unauthorized = "Failed to look up docker package"
    forbidden = "Not allowed to access docker registry"
    unavailable = "external-host-error"

    def look_up(self, registry: Registry, repository: str) -> Output:
        """Run over `FROM` that repository. It exits 0 whether or not it found anything, so the log has to say it."""
        project = self.machine.folder / "project"
        project.mkdir(exist_ok=True)
        (project / "Dockerfile").write_text(f"FROM {registry.host}/{repository}:1\n")
        need("git")
        initialised = self.machine.run("git", "-C", project, "init", "--quiet")
        added = self.machine.run("git", "-C", project, "add", "Dockerfile")
        assert initialised.ok, str(initialised)
        assert added.ok, str(added)
        # The first rule is looked up by the https address, the second by the one that is used.
        rules: list[dict[str, object]] = [{"hostType": "docker", "matchHost": registry.host, "insecureRegistry": True}]
        stored = self.machine.user(registry.host)
        if stored is not None:
            user, password = stored
            host = f"http://{registry.host}"
            rules.append({"hostType": "docker", "matchHost": host, "username": user, "password": password})
        settings: dict[str, object] = {
            "platform": "local",
            "dryRun": "lookup",
            "onboarding": False,
            "requireConfig": "ignored",
            "enabledManagers": ["dockerfile"],
            "hostRules": rules,
            "packageRules": [{"matchDatasources": ["docker"], "pinDigests": True}],
        }
        # It keeps what it finds for fifteen minutes, also for the next one who asks.
        settings["cacheDir"] = tempfile.mkdtemp(dir=self.machine.folder)
        config = self.machine.folder / "renovate.json"
        config.write_text(json.dumps(settings))
        variables = {"RENOVATE_CONFIG_FILE": str(config), "LOG_LEVEL": "debug", "LOG_FORMAT": "json"}
        return self.machine.run("env", "-C", project, self.file, environment=variables)

    def pull(self, registry: Registry, repository: str) -> Output:
        output = self.look_up(registry, repository)
        return output if '"newDigest":"sha256:' in output.text else replace(output, code=output.code or 1)

    def tags(self, registry: Registry, repository: str) -> Output:
        return self.pull(registry, repository)


LIBRARIES: tuple[type[Library], ...] = (DockerPy, OrasPy, Dxf, Jib, OciClient, Renovate)
