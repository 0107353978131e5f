"""Identity tokens of an earlier token server: what clients that keep one do, and that they get on after a new login."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness.clients import Client, Ctr, Docker
from harness.processes import Output
from harness.programs import need
from harness.registries import Registry
from harness.scene import Scene
from harness.stored_tokens import STALE, STORED, Stored

ADVICE = "log out of the registry and in again: docker logout HOST, then docker login HOST"

ROWS = [pytest.param(row, id=row.kind.name) for row in STORED]


def pull(client: Client, registry: Registry, repository: str) -> Output:
    """Pull with the token; ctr, which keeps nothing, is given it."""
    if not isinstance(client, Ctr):
        return client.pull(registry, repository)
    words = ("images", "pull", "--plain-http", "--snapshotter=native", "--refresh", STALE)
    return client.run(*words, f"{registry.host}/{repository}:1")


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("namespace", ["web", "public"])
def test_a_stored_token_of_an_earlier_server(row: Stored, namespace: str, scene: Scene) -> None:
    """No client takes the refusal for an answer about the image; most print what to do."""
    client, repository = scene.client(row.kind), scene.stored(namespace)
    client.machine.keep_token(scene.registry.host, "ann", STALE)
    output = pull(client, scene.registry, repository)
    assert tuple((request.method, request.status) for request in scene.watch.requests()) == row.tries
    assert (ADVICE in output.text) == row.prints_advice, str(output)
    if client.name != "helm":  # the image is no chart
        assert output.ok == (row.public and namespace == "public"), str(output)
    first = scene.watch.requests()[0]
    assert first.values("grant_type") == ["refresh_token"]
    assert first.values("refresh_token") == [STALE]
    (event,) = [event for event in scene.events("") if event.fields["method"] == "POST"]
    assert (event.outcome, event.fields["reason"]) == ("invalid_credentials", "unknown refresh token")
    assert event.fields["client_id"] == first.values("client_id")[0]


@pytest.mark.parametrize("registry", ["registry2.test"], indirect=True)
@pytest.mark.parametrize("row", [row for row in ROWS if row.id != "ctr"])
def test_a_new_login_works(row: Stored, scene: Scene) -> None:
    """After the logout that the text names, public images work; after a login, all others do."""
    client, registry = scene.client(row.kind), scene.registry
    client.machine.keep_token(registry.host, "ann", STALE)
    (client.machine.docker_config if row.has_file else client.machine.auth_file).write_text("{}")
    left = client.machine.run(client.file if row.has_file else need("docker"), "logout", registry.host)
    assert left.ok, str(left)
    assert client.machine.stored().get(registry.host) is None
    if client.name != "helm":  # the image is no chart
        pulled = client.pull(registry, scene.stored("public"))
        assert pulled.ok, str(pulled)
    if "login" not in client.cannot:
        output = client.login(registry, *scene.credentials("ann"))
        assert output.ok, str(output)
    if not {"pull", "login"} & client.cannot.keys() and client.name != "helm":
        pulled = client.pull(registry, scene.stored("web"))
        assert pulled.ok, str(pulled)


def test_docker_login_replaces_the_token(
    client_of: Callable[[type[Client]], Client], registry_of: Callable[[str], Registry]
) -> None:
    """Also without a logout."""
    registry, client = registry_of("registry2.test"), client_of(Docker)
    client.machine.keep_token(registry.host, "ann", STALE)
    client.machine.auth_file.write_text("{}")
    assert client.login(registry, "ann", registry.server.people["ann"]).ok
    assert set(client.machine.stored()[registry.host]) == {"auth"}
