"""`tokenserver logins revoke`: by id, person, workload and moment, in browsers, too; access keys stay."""

from __future__ import annotations

import json

import pytest
from stored_sites import StoredSite

from tokenserver.credentials import Secret
from tokenserver.identity import Kind


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


@pytest.mark.parametrize(
    ("arguments", "ended"),
    [
        pytest.param(["--user", "ann"], {"ann at staff", "ann at corp"}, id="user"),
        pytest.param(["--user", "a\u0308nn"], {"änn at corp"}, id="composed"),
        pytest.param(["--user", ""], set(), id="nobody"),
        pytest.param(["--all-before", "2999-01-01"], {"ann at staff", "ann at corp", "änn at corp"}, id="before"),
        pytest.param(["--all-before", "2001-01-01"], set(), id="none before"),
        pytest.param(["--workload", "web-release"], set(), id="workload"),
    ],
)
def test_in_browsers(site: StoredSite, arguments: list[str], ended: set[str]) -> None:
    """The logins of the user in every source, or of everybody; without a refresh token as well."""
    site.session("74")
    cookies = {
        name: browser_login(site, *name.split(" at ")) for name in ("ann at staff", "ann at corp", "änn at corp")
    }
    result = site.run("logins", "revoke", *arguments, "--json")
    assert {name for name, cookie in cookies.items() if site.browsers.find(cookie) is None} == ended
    assert json.loads(result.stdout).get("browsers", 0) == len(ended)
    assert result.exit_code == (0 if ended or "--workload" in arguments else 1)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        pytest.param(1, "1 login in a browser ended.\n", id="one"),
        pytest.param(2, "2 logins in browsers ended.\n", id="two"),
    ],
)
def test_how_many_browsers(site: StoredSite, count: int, text: str) -> None:
    """In words; another time there is none."""
    for _ in range(count):
        browser_login(site, "ann", "staff")
    result = site.run("logins", "revoke", "--user", "ann")
    assert (result.exit_code, result.stdout, result.stderr) == (0, text, "")
    again = site.run("logins", "revoke", "--user", "ann")
    assert (again.exit_code, again.stderr) == (
        1,
        "There is no such live refresh token or session; nothing was changed.\n",
    )


def browser_login(site: StoredSite, subject: str, source: str) -> Secret:
    """The cookie of a login in a browser."""
    return site.browsers.begin(source=source, subject=subject, kind=Kind.PASSWORD)[0]


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
