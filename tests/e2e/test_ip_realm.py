"""A server without DNS: real clients at a realm with an IP address, and what doctor and `check` say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness import registries
from harness.clients import Client, Crane, Docker, Oras, Podman, Regctl, Skopeo
from harness.images import Image
from harness.processes import Output, free_port, run
from harness.proxy import nginx
from harness.registries import KEEPER, Registry
from harness.server import Setup, TokenServer, serving

SERVICE = "registry3.test"
ADDRESS = "127.0.0.1"

LOCATIONS = """\
    location /v2/ {{ proxy_pass http://127.0.0.1:{registry}; }}
    location / {{ proxy_pass http://127.0.0.1:{server}; }}
"""

PUSHING = [pytest.param(kind, id=kind.name) for kind in (Podman, Skopeo, Oras, Regctl, Crane)]


@pytest.fixture(scope="module")
def people(setup: Setup) -> Setup:
    """A server at an IP address, with the two users that the tests need."""
    some = {name: setup.people[name] for name in ("ann", KEEPER)}
    return replace(setup, people=some, services={SERVICE: "universal"}, host=ADDRESS)


@pytest.fixture(scope="module")
def apart(people: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Registry and token server at one address, on two ports."""
    with (
        serving(tmp_path_factory.mktemp("server"), people) as server,
        registries.registry(tmp_path_factory.mktemp("registry"), server, SERVICE, "distribution3") as registry,
    ):
        yield replace(registry, name=ADDRESS)


@pytest.fixture(scope="module")
def together(people: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Registry and token server behind one nginx: the realm has the registry's own address and port."""
    port = free_port()
    setup = replace(people, settings={"server": {"url": f"http://{ADDRESS}:{port}"}})
    with (
        serving(tmp_path_factory.mktemp("server"), setup) as server,
        registries.registry(tmp_path_factory.mktemp("registry"), server, SERVICE, "distribution3") as registry,
        nginx(tmp_path_factory.mktemp("proxy"), LOCATIONS.format(registry=registry.port, server=server.port), port),
    ):
        yield replace(registry, name=ADDRESS, port=port)


def pushed(client: Client, registry: Registry, image: Image, repository: str) -> Output:
    """Push as ann."""
    client.machine.sign_in(registry.host, "ann", registry.server.people["ann"])
    return client.push(registry, image, repository)


@pytest.mark.parametrize("kind", PUSHING)
def test_behind_one_proxy_every_client_works(
    kind: type[Client], together: Registry, client_of: Callable[[type[Client]], Client], image: Image
) -> None:
    """The realm's host and port are the registry's, which even crane accepts."""
    output = pushed(client_of(kind), together, image, f"web/{kind.name}")
    assert output.ok, str(output)
    assert together.holds(f"web/{kind.name}")


@pytest.mark.parametrize("kind", PUSHING)
def test_on_another_port_crane_alone_refuses(
    kind: type[Client], apart: Registry, client_of: Callable[[type[Client]], Client], image: Image
) -> None:
    """What the warning says: crane rejects the realm before it asks for a token; the others do not mind."""
    output = pushed(client_of(kind), apart, image, f"web/{kind.name}")
    assert output.ok == (kind is not Crane), str(output)
    assert apart.holds(f"web/{kind.name}") == (kind is not Crane)
    if kind is Crane:
        assert "is a private or link-local address" in output.text


def test_docker_logs_in_at_an_address(apart: Registry, client_of: Callable[[type[Client]], Client]) -> None:
    """The docker command asks at the realm, whatever it is."""
    output = client_of(Docker).login(apart, "ann", apart.server.people["ann"])
    assert "Login Succeeded" in output.stdout


def command(server: TokenServer, *arguments: str | Path) -> Output:
    """A command of the server, which may find something."""
    words = server.command(*arguments, "--config", server.config)
    return run(words, environment=server.environment, folder=server.folder)


def test_what_check_and_doctor_say(apart: Registry, together: Registry) -> None:
    """`check` warns, and is content; the doctor knows the registry's address, and names crane where it refuses."""
    for registry, refused in ((apart, True), (together, False)):
        server = registry.server
        checked = command(server, "check")
        assert checked.ok, str(checked)
        assert f"server.url is at an IP address: crane rejects {ADDRESS} in a realm unless" in checked.text
        printed = command(server, "registry-config", SERVICE, "--for", "distribution3")
        assert f'realm: "{registry.auth["token"]["realm"]}"' in printed.stdout
        assert registry.auth["token"]["realm"].startswith(f"http://{ADDRESS}:")
        visited = command(server, "doctor", "--registry", f"http://{registry.host}", "--service", SERVICE)
        assert ("crane rejects" in visited.stdout) == refused, str(visited)
        assert "the realm is our token endpoint" in visited.stdout
