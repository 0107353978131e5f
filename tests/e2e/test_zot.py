"""zot as a registry: the real one (1.4), and the rules of 2.1 behind the library that it verifies with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from harness import registries, web
from harness.clients import Client
from harness.every_client import CLIENTS, row
from harness.images import Image
from harness.registries import KEEPER, Registry
from harness.server import ANONYMOUS, Setup, TokenServer, serving

KINDS = ["zot", "zot2.1.17", "zot2.1"]
AT_ZOT = {"skopeo", "crane", "oras", "regctl", "gcrane", "regsync", "ko", "ctr2"}
"""Clients that are tried with the real one, which rejects the Docker manifests of imgpkg."""

STAR = """\
version: 1
allow:
  - {id: star, to: ["user:mia"], repositories: ["starred/**"], actions: ["*", pull, push, delete]}
"""


@pytest.fixture(scope="module")
def zot_server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server for zot registries: RS256 for the old one, keys of its own for each."""
    entries = [
        {"service": f"{kind}.test", "compat": "zot", "keys": f"keys-{kind}", "algorithm": algorithm}
        for kind, algorithm in zip(KINDS, ["RS256", "ES256", "EdDSA"], strict=True)
    ]
    entries.append({"service": "neighbour.test", "keys": "keys-zot"})
    policies = {**setup.policies, "star.yaml": STAR}
    with serving(
        tmp_path_factory.mktemp("server"), replace(setup, policies=policies, settings={"registries": entries})
    ) as server:
        yield server


@pytest.fixture(scope="module")
def zot_of(zot_server: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Registry]]:
    """Gives the running registry of a kind, started at the first call."""
    with ExitStack() as stack:
        known: dict[str, Registry] = {}

        def zot_of(kind: str) -> Registry:
            if kind not in known:
                folder = tmp_path_factory.mktemp("zot")
                known[kind] = stack.enter_context(registries.registry(folder, zot_server, f"{kind}.test", kind))
            return known[kind]

        yield zot_of


@pytest.fixture(params=KINDS)
def zot(request: pytest.FixtureRequest, zot_of: Callable[[str], Registry]) -> Registry:
    """Each kind in turn."""
    return zot_of(request.param)


def lets_in(zot: Registry, token: str | None, method: str = "GET", repository: str = "web/x") -> bool:
    """Whether zot takes the token for this. The image is not there, which it tells only those that it lets in.

    A token that it cannot read is 401, and in 1.4 it is 500.
    """
    answer = zot.request(method, f"/v2/{repository}/manifests/none", token)
    assert answer.status in (200, 400, 401, 404, 500), answer
    return answer.status not in (401, 500)


def test_a_token_is_accepted_and_a_changed_one_is_not(zot: Registry) -> None:
    """It verifies: one bit of the signature decides. The challenge leads to the server."""
    token = zot.server.token(zot.service, ["repository:web/x:pull"], person="ann")
    changed = token[:-8] + ("A" if token[-8] != "A" else "B") + token[-7:]
    assert [lets_in(zot, one) for one in (token, changed, None)] == [True, False, False]
    challenge = zot.request("GET", "/v2/", None).header("www-authenticate") or ""
    assert challenge.startswith(f'Bearer realm="{zot.server.realm}",service="{zot.service}"')


def test_a_login_is_enough_since_2_1_3(zot: Registry) -> None:
    """Until then zot asks for its catalog even where a client only says hello, so `docker login` fails there."""
    for person, is_enough in (("ann", zot.generation != "zot"), ("olga", True)):
        scopes = ["registry:catalog:*"] if zot.generation == "zot" else []
        token = zot.server.token(zot.service, scopes, person=person)
        assert (zot.request("GET", "/v2/", token).status == 200) == is_enough


@pytest.mark.parametrize(
    ("person", "scope", "method", "allowed"),
    [
        pytest.param("ann", "repository:web/x:pull", "GET", True, id="pull"),
        pytest.param("eve", "repository:web/x:pull", "GET", False, id="pull-not-granted"),
        pytest.param("ann", "repository:web/other:pull", "GET", False, id="another-repository"),
        pytest.param("mia", "repository:starred/x:*", "DELETE", True, id="a-star-deletes"),
        pytest.param("mia", "repository:starred/x:*", "GET", True, id="a-star-pulls"),
        pytest.param("mia", "repository:web/x:push,pull,delete", "DELETE", True, id="delete"),
        pytest.param("mia", "repository:web/x:pull", "DELETE", False, id="delete-not-asked"),
        pytest.param(ANONYMOUS, "repository:web/x:*", "DELETE", False, id="anonymous"),
    ],
)
def test_actions(zot: Registry, person: str, scope: str, method: str, allowed: bool) -> None:
    """What is granted is what zot allows; a rule's star means to it what it means elsewhere."""
    token = zot.server.token(zot.service, [scope], person=person)
    repository = "starred/x" if "starred" in scope else "web/x"
    assert lets_in(zot, token, method, repository) == allowed


@pytest.mark.parametrize("scope", ["registry:catalog:*", "repository::pull"])
@pytest.mark.parametrize(("person", "allowed"), [("olga", True), ("mia", False), (ANONYMOUS, False)])
def test_the_catalog(zot: Registry, scope: str, person: str, allowed: bool) -> None:
    """Both names of it, in a client's words and in zot's; since 2.1.18 any valid token will do."""
    token = zot.server.token(zot.service, [scope], person=person)
    any_token_will_do = zot.generation == "zot2.1"
    assert (zot.request("GET", "/v2/_catalog", token).status == 200) == (allowed or any_token_will_do)


def test_zot_takes_its_neighbours_tokens(zot_of: Callable[[str], Registry]) -> None:
    """Why it should have keys of its own: with the same key, another registry's token opens it. `check` says so."""
    zot = zot_of("zot")
    neighbours = zot.server.token("neighbour.test", ["repository:web/x:pull"], person="ann")
    strangers = zot.server.token("zot2.1.test", ["repository:web/x:pull"], person="ann")
    assert [lets_in(zot, token) for token in (neighbours, strangers)] == [True, False]
    assert "also accepts the tokens for neighbour.test" in zot.server.run("check", "--config", zot.server.config).stderr


def test_a_whole_image(zot_of: Callable[[str], Registry], image: Image, new_name: Callable[[str], str]) -> None:
    """Pushed, pulled and deleted with tokens of this server, in the real zot."""
    zot, repository = zot_of("zot"), new_name("web")
    zot.put(repository, image)
    assert zot.holds(repository)
    token = zot.server.token(zot.service, [f"repository:{repository}:pull,push,delete"], person=KEEPER)
    assert zot.request("DELETE", f"/v2/{repository}/manifests/{image.digest}", token).status == 202
    assert not zot.holds(repository)


@pytest.mark.parametrize("kind", [row(kind) for kind in CLIENTS if kind.name in AT_ZOT])
def test_clients(
    kind: type[Client],
    zot_of: Callable[[str], Registry],
    client_of: Callable[[type[Client]], Client],
    image: Image,
    new_name: Callable[[str], str],
) -> None:
    """Real clients push and pull through the real zot's challenges, and are refused where policies say no."""
    zot, repository = zot_of("zot"), new_name("web")
    client = client_of(kind)
    client.machine.sign_in(zot.host, "ann", zot.server.people["ann"])
    for output in (client.push(zot, image, repository), client.pull(zot, repository)):
        assert output.ok, str(output)
    assert zot.holds(repository)
    client.machine.sign_in(zot.host, "eve", zot.server.people["eve"])
    assert not client.pull(zot, repository).ok


def test_clients_ask_for_the_catalog(
    zot_of: Callable[[str], Registry],
    client_of: Callable[[type[Client]], Client],
    new_name: Callable[[str], str],
    image: Image,
) -> None:
    """crane lists a zot's repositories as somebody who may, and not as somebody who may not."""
    zot, repository = zot_of("zot"), new_name("web")
    zot.put(repository, image)
    client = client_of(next(kind for kind in CLIENTS if kind.name == "crane"))
    for person, allowed in (("olga", True), ("mia", False)):
        client.machine.sign_in(zot.host, person, zot.server.people[person])
        output = client.catalog(zot)
        assert (output.ok and repository in output.stdout) == allowed, str(output)


def test_the_clock_has_no_leeway(zot: Registry) -> None:
    """zot takes no token from the future, so the times of beginning are set back."""
    claims = web.claims(zot.server.token(zot.service))
    assert claims["exp"] - claims["nbf"] == 910
    assert claims["nbf"] == claims["iat"]
