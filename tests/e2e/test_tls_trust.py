"""Registry and server with TLS, certified by a company's own authority: clients need that one, and check it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from harness import registries
from harness.authority import Authority
from harness.clients import Client, Crane, Ctr, Oras, Regctl, Skopeo
from harness.registries import KEEPER, Registry
from harness.scene import Scene
from harness.server import Setup, serving

ClientOf = Callable[[type[Client]], Client]
NewName = Callable[[str], str]


@dataclass(frozen=True)
class Secured:
    """A registry with TLS, the authority behind it, and one that has nothing to do with it."""

    registry: Registry
    right: Authority
    other: Authority


@pytest.fixture(scope="module", params=["distribution2", "distribution3"])
def secured(
    request: pytest.FixtureRequest, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    """Server and registry share the authority, as they share the clients' trust in it."""
    right, other = (Authority(tmp_path_factory.mktemp(name), name) for name in ("right", "other"))
    people = {name: setup.people[name] for name in ("ben", KEEPER)}
    service = f"registry{request.param[-1]}.test"
    with (
        serving(tmp_path_factory.mktemp("server"), replace(setup, people=people, tls=right)) as server,
        registries.registry(tmp_path_factory.mktemp("registry"), server, service, request.param, tls=right) as registry,
    ):
        yield Secured(registry, right, other)


@pytest.fixture
def registry(secured: Secured) -> Registry:
    """The registry with TLS."""
    return secured.registry


@dataclass(frozen=True)
class Trusting:
    """How a client is told whom to trust. The places in braces are filled in."""

    kind: type[Client]
    command: str
    variable: str | None = None


CLIENTS = [
    pytest.param(Trusting(Skopeo, "inspect --cert-dir {folder} docker://{image}"), id="skopeo"),
    pytest.param(Trusting(Crane, "digest {image}", variable="SSL_CERT_FILE"), id="crane"),
    pytest.param(Trusting(Oras, "manifest fetch --plain-http=false --ca-file {ca} {image}"), id="oras"),
    pytest.param(Trusting(Regctl, "image digest {image}", variable="SSL_CERT_FILE"), id="regctl"),
    pytest.param(Trusting(Ctr, "images pull --hosts-dir {hosts} --user {user} --snapshotter=native {image}"), id="ctr"),
]
"""docker is not among them: it checks no certificate of a registry on localhost. For ctr localhost means plain HTTP,
unless a hosts file says otherwise."""


@pytest.mark.parametrize("trusted", ["right", "other"])
@pytest.mark.parametrize("trusting", CLIENTS)
def test_clients_check_the_authority(trusting: Trusting, trusted: str, secured: Secured, scene: Scene) -> None:
    """With the right authority the client gets its token and the image; with another it goes nowhere."""
    client, repository = scene.client(trusting.kind, "ben"), scene.stored("web")
    authority = secured.right if trusted == "right" else secured.other
    mark = scene.server.audit.mark()
    hosts = client.machine.folder / trusted / scene.registry.host
    hosts.mkdir(parents=True, exist_ok=True)
    (hosts / "hosts.toml").write_text(f'[host."https://{scene.registry.host}"]\nca = "{authority.file}"\n')
    places = {
        "hosts": hosts.parent,
        "ca": authority.file,
        "folder": authority.file.parent,
        "image": f"{scene.registry.host}/{repository}:1",
        "user": ":".join(scene.credentials("ben")),
    }
    environment = {trusting.variable: str(authority.file)} if trusting.variable else {}
    output = client.run(*trusting.command.format(**places).split(), environment=environment)
    # Whatever there is to tell was told before the client got its answer.
    events = [event.granted for event in scene.server.audit.events(mark, seconds=0) if event.subject == "ben"]
    if trusted == "right":
        assert output.ok, str(output)
        assert frozenset({f"repository:{repository}:pull"}) in events
    else:
        assert not output.ok, str(output)
        assert "x509" in output.text
        assert events == []
