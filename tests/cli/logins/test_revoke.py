"""`tokenserver logins revoke`: by id, person, workload and moment; access keys stay."""

from __future__ import annotations

import json

import pytest
from stored_sites import StoredSite


@pytest.fixture
def made(site: StoredSite) -> dict[str, str]:
    """The ids of one of each, by what it is."""
    return {
        "ann": site.refresh_token(),
        "bob": site.refresh_token("bob"),
        "web": site.session("74"),
        "api": site.session("75"),
        "key": site.stored()[1].id,
    }


@pytest.mark.parametrize(
    ("arguments", "ended"),
    [
        pytest.param(["--user", "ann"], {"ann"}, id="user"),
        pytest.param(["--workload", "web-release"], {"web"}, id="workload"),
        pytest.param(["--all-before", "2999-01-01"], {"ann", "bob", "web", "api"}, id="before"),
    ],
)
def test_in_bulk(site: StoredSite, made: dict[str, str], arguments: list[str], ended: set[str]) -> None:
    """What is meant ends, and nothing else."""
    facts = site.facts("logins", "revoke", *arguments)
    assert set(facts["revoked"]) == {made[name] for name in ended}
    assert site.live() == {identifier for name, identifier in made.items() if name not in ended}


def test_by_id(site: StoredSite, made: dict[str, str]) -> None:
    """Several at a time; the id of an access key is none of a login."""
    result = site.run("logins", "revoke", made["ann"], made["api"])
    assert (result.exit_code, site.live()) == (0, {made["bob"], made["web"], made["key"]})
    result = site.run("logins", "revoke", made["key"], "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"revoked": [], "not_found": [made["key"]]})
    assert made["key"] in site.live()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param([], 2, "name them by their IDs, or with one of", id="nothing"),
        pytest.param(["--user", "ann", "--workload", "web-release"], 2, "name them by their IDs, or", id="two"),
        pytest.param(["--user", "nobody"], 1, "There is no such live refresh token or session", id="nobody"),
        pytest.param(["--workload", "web-relase"], 1, "did you mean 'web-release'?", id="no such workload"),
        pytest.param(["--all-before", "yesterday"], 2, "must be a date (2027-01-31) or a time", id="no moment"),
        pytest.param(["--all-before", "2001-01-01"], 1, "nothing was changed", id="none before"),
    ],
)
def test_nothing_ends(site: StoredSite, made: dict[str, str], arguments: list[str], code: int, message: str) -> None:
    """The exit code says so."""
    result = site.run("logins", "revoke", *arguments)
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (code, True), result.stderr
    assert site.live() == set(made.values())
