"""A server whose clock is ahead of everybody else's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness import registries, web
from harness.programs import need
from harness.registries import KEEPER
from harness.server import ANONYMOUS, Setup, TokenServer, serving

SERVICE = "registry2.test"
AHEAD = 5


@pytest.fixture(scope="module")
def ahead(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that believes it is five seconds later."""
    prefix = [str(need("faketime")), "-f", f"+{AHEAD}s"]
    small = replace(setup, people={KEEPER: setup.people[KEEPER]})
    with serving(tmp_path_factory.mktemp("ahead"), small, prefix=prefix) as server:
        yield server


def test_times_are_not_in_the_future_of_others(ahead: TokenServer) -> None:
    """zot and Pulp take no token from the future, not by one second; the times are set back for them."""
    before = int(time.time())
    answer = ahead.ask(SERVICE, person=ANONYMOUS).json()
    claims = web.claims(answer["token"])
    after = int(time.time())
    # The first line shows that the server's clock really is ahead, so that the others mean something.
    assert before + AHEAD + 900 <= claims["exp"] <= after + AHEAD + 900
    assert claims["nbf"] == claims["iat"]
    assert claims["iat"] <= before


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_a_registry_takes_it_at_once(generation: str, ahead: TokenServer, tmp_path: Path) -> None:
    """A registry with the right clock accepts the token in the second in which it was signed."""
    with registries.registry(tmp_path, ahead, SERVICE, generation) as registry:
        assert registry.request("GET", "/v2/", ahead.token(SERVICE)).status == 200
