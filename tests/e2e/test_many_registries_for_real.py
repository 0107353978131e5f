"""Real registries that differ: one under two names, one with keys and an issuer of its own, a folder of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from harness import registries, web
from harness.conformance import VERIFIERS, Verifier, verifying
from harness.images import Image
from harness.registries import KEEPER, Registry
from harness.server import ISSUER, Setup, TokenServer, serving

FILES = {
    "moved.yaml": "service: new.test\nalso: [old.test]\ntoken_lifetime: {default: 5m, push: 1h}\n",
    "team.yaml": "service: team.test\nissuer: team-issuer\nalgorithm: RS256\nkeys: ../team-keys\n",
}


@pytest.fixture(scope="module")
def many(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server whose registries stand in a folder."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "registries").mkdir(mode=0o755)
    for name, text in FILES.items():
        (folder / "registries" / name).write_text(text)
    with serving(folder, replace(setup, settings={"registries": "registries"})) as server:
        yield server


@pytest.fixture(scope="module")
def named(many: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Registry]]:
    """Gives the running registry of a service name and a generation, started at the first call."""
    with ExitStack() as stack:
        known: dict[tuple[str, str], Registry] = {}

        def named(service: str, generation: str) -> Registry:
            if (service, generation) not in known:
                made = registries.registry(tmp_path_factory.mktemp("registry"), many, service, generation)
                known[service, generation] = stack.enter_context(made)
            return known[service, generation]

        yield named


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
@pytest.mark.parametrize("service", ["new.test", "old.test", "team.test"])
def test_each_takes_its_own(
    service: str,
    generation: str,
    named: Callable[[str, str], Registry],
    image: Image,
    new_name: Callable[[str], str],
) -> None:
    """Under either name, and with whichever keys, by the section that the server prints for that name."""
    registry, repository = named(service, generation), new_name("web")
    registry.put(repository, image)
    assert registry.holds(repository)


@pytest.mark.parametrize(("service", "other"), [("new.test", "old.test"), ("old.test", "new.test")])
def test_a_token_is_for_the_name_that_was_asked(
    service: str, other: str, named: Callable[[str, str], Registry]
) -> None:
    """One registry to the policies, two audiences to the registries."""
    token = named(service, "distribution2").server.token(service, ["repository:web/x:pull"], person=KEEPER)
    assert named(service, "distribution2").request("GET", "/v2/", token).status == 200
    assert named(other, "distribution2").request("GET", "/v2/", token).status == 401


def test_a_push_lives_longer(many: TokenServer) -> None:
    """What is granted decides: a reader's token for a push is a token for a pull."""
    lifetimes = {
        person: many.ask("old.test", ["repository:web/x:pull,push"], person=person).json()["expires_in"]
        for person in ("ann", "ben")
    }
    assert lifetimes == {"ann": 3600, "ben": 300}


@pytest.mark.parametrize("verifier", [one for one in VERIFIERS if one.kind != "zot"], ids=lambda one: one.label)
def test_keys_of_their_own_open_nothing_else(verifier: Verifier, many: TokenServer, tmp_path: Path) -> None:
    """With everything else right, a registry that trusts the team's authority takes no token of the others' keys."""
    values = {"realm": many.realm, "service": "new.test", "issuer": ISSUER}
    token = many.token("new.test", ["repository:web/x:pull"], person=KEEPER)
    found = {}
    for service in ("new.test", "team.test"):
        bundle = many.request("GET", f"/ca.pem?service={service}").body.decode()
        folder = tmp_path / service
        folder.mkdir()
        with verifying(verifier, folder, values, {"rootcertbundle": bundle}) as registry:
            assert registry.port is not None
            headers = {"Authorization": f"Bearer {token}"}
            found[service] = web.request(registry.port, "GET", "/v2/", headers=headers).status
    assert found == {"new.test": 200, "team.test": 401}
