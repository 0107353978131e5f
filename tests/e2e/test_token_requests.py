"""How clients ask for tokens: how often, for what, and after a refusal. docs/compatibility.md has the table.

The server's own refusals are those of harness/refusing.py, so that any status can be had at will.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness.buildkit import Buildkit
from harness.clients import Client
from harness.every_client import CLIENTS, row
from harness.go_clients import Ctr2, Imgpkg, Ko, Regsync
from harness.refusing import refusing
from harness.registries import Registry
from harness.scene import Scene
from harness.token_requests import REFUSALS, REQUESTS

from tokenserver.errors import InvalidCredentials, PlainHttp, ServiceError, Throttled

KINDS = [client for client in CLIENTS if client.name in REQUESTS]
MIRRORED = 87
"""Repositories of a mirror's run, as many as in a report about another token server."""
ERRORS = dict(
    zip(REFUSALS, [InvalidCredentials("wrong"), PlainHttp(), Throttled(1), ServiceError("no answer")], strict=True)
)


def refusal_rows() -> list[object]:
    """Every client with every refusal. go-containerregistry waits seconds before a third try: left to the night."""
    return [
        row(kind, status, name=f"{kind.name}-{status}", nightly=abs(number) > 2)
        for kind in KINDS
        for status, number in zip(REFUSALS, REQUESTS[kind.name].refused, strict=True)
    ]


every_kind = pytest.mark.parametrize("kind", [row(kind) for kind in KINDS])


@pytest.fixture
def registry(registry_of: Callable[[str], Registry]) -> Registry:
    """One registry instead of both: the client and the server are what counts here."""
    return registry_of("registry3.test")


def asked_by(scene: Scene) -> tuple[int, set[str]]:
    """How often a token was asked for, and by which methods."""
    requests = scene.watch.requests()
    return len(requests), {request.method for request in requests}


@every_kind
def test_the_requests_of_a_pull(kind: type[Client], scene: Scene) -> None:
    """One token is enough for a manifest and its blobs; containerd asks once to resolve the tag and once to fetch."""
    output = scene.client(kind, "ben").pull(scene.registry, scene.stored("web"))
    assert output.ok, str(output)
    assert asked_by(scene) == (REQUESTS[kind.name].pull, {kind.method})


@every_kind
def test_the_requests_of_a_push(kind: type[Client], scene: Scene) -> None:
    """Few, whatever the number of blobs."""
    output = scene.client(kind, "ann").push(scene.registry, scene.image, scene.new_name("web"))
    assert output.ok, str(output)
    assert asked_by(scene) == (REQUESTS[kind.name].push, {kind.method})


@every_kind
def test_the_requests_of_a_denied_push(kind: type[Client], scene: Scene) -> None:
    """A client that gets less than it asked for asks again when the registry says no, and then gives up."""
    output = scene.client(kind, "ben").push(scene.registry, scene.image, scene.new_name("web"))
    assert not output.ok, str(output)
    (number, methods), (fewest, most) = asked_by(scene), REQUESTS[kind.name].denied_push
    assert fewest <= number <= most
    assert methods == {kind.method}


@pytest.mark.parametrize(("kind", "status"), refusal_rows())
def test_the_requests_of_a_pull_without_a_token(kind: type[Client], status: int, scene: Scene) -> None:
    """A client retries as often as the table says, fails, and shows the server's text or does not."""
    client, repository = scene.client(kind, "ben"), scene.stored("web")
    with refusing(ERRORS[status]) as (port, problem), scene.server.wire.diverted(port):
        output = client.pull(scene.registry, repository)
        requests = scene.watch.requests()
    assert not output.ok, str(output)
    assert {request.status for request in requests} == {problem.status} == {status}
    number = len(requests) if problem.message in output.text else -len(requests)
    assert number == REQUESTS[kind.name].refused[REFUSALS.index(status)], str(output)


def test_regsync_carries_every_repository_along(scene: Scene) -> None:
    """A mirror's request names all repositories that it has used on the registry, so the last request is long."""
    client = scene.client(Regsync, "ann")
    assert isinstance(client, Regsync)
    repositories = [scene.new_name("web") for _ in range(MIRRORED)]
    source = f"ocidir://{scene.image.layout}:latest"
    output = client.sync(scene.registry, [(source, f"{scene.registry.host}/{name}:1") for name in repositories])
    assert output.ok, str(output)
    requests = scene.watch.requests()
    assert len(requests) == 2 * MIRRORED
    assert [len(request.asked) for request in requests] == [number // 2 + 1 for number in range(2 * MIRRORED)]
    assert requests[-1].asked == requests[-1].granted == {f"repository:{name}:pull,push" for name in repositories}
    assert all(scene.registry.holds(name) for name in repositories)


def test_regsync_with_a_wrong_password_tries_it_for_every_image(scene: Scene) -> None:
    """A mirror with a misspelt password fails at least once per image, which the throttle and a directory count."""
    client = scene.client(Regsync)
    assert isinstance(client, Regsync)
    client.machine.sign_in(scene.registry.host, "ann", "wrong")
    repositories = [scene.stored("web") for _ in range(3)]
    target = f"ocidir://{client.machine.folder}/pulled"
    copies = [(f"{scene.registry.host}/{name}:1", f"{target}:{tag}") for tag, name in enumerate(repositories)]
    output = client.sync(scene.registry, copies)
    assert not output.ok, str(output)
    outcomes = [event.outcome for event in scene.events("ann")]
    assert len(outcomes) >= len(repositories)
    assert set(outcomes) == {"invalid_credentials"}


def test_ko_mounts_its_base(scene: Scene) -> None:
    """The layers of the base are mounted into the target, with one token for both."""
    client, repository = scene.client(Ko, "ann"), scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    asked = [request.asked for request in scene.watch.requests()]
    base, target = f"repository:{Ko.base}:pull", f"repository:{repository}:pull,push"
    assert asked == [{base}, {target}, {base, target}]
    assert scene.registry.mounts(Ko.base, repository) == {201}


def test_imgpkg_repeats_a_scope_in_another_order(scene: Scene) -> None:
    """`pull,push` and `push,pull` of one repository in one request are one resource in the token."""
    client, source, target = scene.client(Imgpkg, "ann"), scene.stored("web"), scene.new_name("web")
    output = client.mount(scene.registry, source, target)
    assert output.ok, str(output)
    request = scene.watch.requests()[-1]
    pieces = [scope for value in request.values("scope") for scope in value.split()]
    assert len(pieces) > len(request.asked)
    assert request.asked == request.granted == {f"repository:{source}:pull", f"repository:{target}:pull,push"}
    assert sorted(entry["name"] for entry in request.claims["access"]) == sorted([source, target])


@pytest.mark.nightly
@pytest.mark.real("ctr2")
def test_ctr_2_asks_for_pull_twice_to_push(scene: Scene) -> None:
    """Its form lists `pull` beside `pull,push`; refused, it tries once more as a GET with Basic."""
    client, repository = scene.client(Ctr2, "ann"), scene.new_name("web")
    assert client.push(scene.registry, scene.image, repository).ok
    (request,) = scene.watch.requests()
    assert request.values("scope") == [f"repository:{repository}:pull repository:{repository}:pull,push"]
    names = ("grant_type", "client_id", "service", "username", "access_type")
    sent = [request.values(name) for name in names]
    assert sent == [["password"], ["containerd-client"], [scene.registry.service], ["ann"], []]
    client.machine.sign_in(scene.registry.host, "ann", "wrong")
    scene.watch.restart()
    assert not client.pull(scene.registry, repository).ok
    tries = [(request.method, request.user, request.status) for request in scene.watch.requests()]
    assert tries == [("POST", "ann", 401), ("GET", "ann", 401)]


@pytest.mark.nightly
@pytest.mark.real("buildctl")
@pytest.mark.parametrize("is_downloaded", [False, True])
def test_buildkit_mounts_what_it_has_not_downloaded(is_downloaded: bool, scene: Scene) -> None:
    """A form for each repository, and one for both to mount the base; a base that was downloaded is uploaded again."""
    client, source, target = scene.client(Buildkit, "ann"), scene.stored("web"), scene.new_name("web")
    if is_downloaded:
        assert client.pull(scene.registry, source).ok
    scene.watch.restart()
    output = client.mount(scene.registry, source, target)
    assert output.ok, str(output)
    requests = scene.watch.requests()
    pull, push = f"repository:{source}:pull", f"repository:{target}:pull,push"
    asked = {request.asked for request in requests} - {frozenset({pull})}
    assert asked == ({frozenset({push})} if is_downloaded else {frozenset({push}), frozenset({pull, push})})
    assert {request.values("client_id")[0] for request in requests} == {"buildkit-client"}
    assert scene.registry.mounts(source, target) == (set() if is_downloaded else {201})


@pytest.mark.nightly
@pytest.mark.real("buildctl")
def test_buildkitd_uses_a_token_for_the_next_person_too(scene: Scene) -> None:
    """The daemon keeps a token until it expires: a build by a stranger gets what the build before was granted."""
    client, repository = scene.client(Buildkit, "ann"), scene.stored("web")
    assert client.pull(scene.registry, repository).ok
    client.machine.sign_in(scene.registry.host, *scene.credentials("eve"))
    scene.watch.restart()
    output = client.pull(scene.registry, repository)
    assert output.ok, str(output)
    assert scene.watch.requests() == []
