"""`tokenserver access-keys list` and `show`: which keys there are, and never a secret."""

from __future__ import annotations

import pytest
from stored_sites import StoredSite, in_days, no_secret_in

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.patterns import parse_pattern
from tokenserver.storage.selection import Selection


def ids(site: StoredSite, *options: str) -> list[str]:
    """The ids that the list has, in its order."""
    return [row["id"] for row in site.facts("access-keys", "list", *options)["access_keys"]]


def test_a_table(site: StoredSite) -> None:
    """A row for each key that can be used, with the limits in words."""
    ceiling = Ceiling((Bound((parse_pattern("web/**"),), frozenset({"pull"})),), frozenset({"second.example.com"}))
    key, made = site.stored(name="laptop", ceiling=ceiling, ends=in_days(13))
    other, _ = site.stored(owner="bob")
    result = site.run("access-keys", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    heads, *rows = result.stdout.splitlines()
    assert heads.split("  ")[0] == "ID"
    assert len(rows) == 2
    (row,) = [one for one in rows if one.startswith(made.id)]
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells[1:4] == ["ann", "laptop", "expires soon"]
    assert cells[5:] == ["never", "pull on web/** at second.example.com"]
    no_secret_in(result, [key, other])


def test_which_keys(site: StoredSite) -> None:
    """Those that ended are there with --all; --user and --expiring take some."""
    live, soon, bob = (site.stored(**one)[1].id for one in ({}, {"ends": in_days(13)}, {"owner": "bob"}))
    expired = site.stored(ends=in_days(0) - 5)[1].id
    revoked = site.stored()[1].id
    site.store.end(Selection(ids=frozenset({revoked})), by="test", reason="lost")
    site.refresh_token()
    assert set(ids(site)) == {live, soon, bob}
    assert set(ids(site, "--user", "ann")) == {live, soon}
    assert ids(site, "--expiring") == [soon]
    assert ids(site, "--expiring", "--user", "bob") == []
    assert set(ids(site, "--all")) == {live, soon, bob, expired, revoked}
    states = {row["id"]: row["state"] for row in site.facts("access-keys", "list", "--all")["access_keys"]}
    assert (states[expired], states[revoked], states[soon]) == ("expired", "revoked", "expires soon")


def test_none(site: StoredSite) -> None:
    """One line on standard error; no user is not an error."""
    result = site.run("access-keys", "list", "--user", "nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There are no such access keys.\n")
    assert site.run("access-keys", "list").stderr == "There are no access keys.\n"


def test_orphaned(site: StoredSite) -> None:
    """Keys whose owner is gone, is disabled, or was of a source that is not configured, each with the reason."""
    site.stored(owner="bob")
    disabled = site.stored()[1].id
    gone = site.stored(owner="zoe")[1].id
    elsewhere = site.stored(owner="ann", source="corp")[1].id
    text = (site.folder / "users.htpasswd").read_text()
    site.write("users.htpasswd", "# tokenserver-account: ann: disabled\n" + text.replace("ann:", "ann:!"))
    problems = {row["id"]: row["problem"] for row in site.facts("access-keys", "list", "--orphaned")["access_keys"]}
    assert problems == {
        disabled: "the account is disabled",
        gone: "staff has no such user",
        elsewhere: "the user source corp is not configured",
    }
    table = site.run("access-keys", "list", "--orphaned").stdout
    assert all(problem in table for problem in problems.values())
    assert "bob" not in table


def test_show(site: StoredSite) -> None:
    """Everything that is known of one key; the last use too."""
    key, made = site.stored(name="laptop", created_from="192.0.2.7")
    result = site.run("access-keys", "show", made.id)
    rows = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    found = {head: value.strip() for head, value in rows.items()}
    assert (found["owner"], found["name"], found["state"]) == ("ann (staff)", "laptop", "active")
    assert (found["can do"], found["registries"], found["networks"]) == ("all that its owner can do", "all", "any")
    assert (found["made from"], found["last used"]) == ("192.0.2.7", "never")
    assert "revoked" not in found
    no_secret_in(result, [key])
    site.store.end(Selection(ids=frozenset({made.id})), by="cli:root", reason="laptop lost")
    assert "by cli:root: laptop lost" in site.run("access-keys", "show", made.id).stdout
    facts = site.facts("access-keys", "show", made.id)
    assert (facts["state"], facts["ended_by"], facts["reason"]) == ("revoked", "cli:root", "laptop lost")


@pytest.mark.parametrize("identifier", ["000000000000", "a b"])
def test_show_an_unknown_key(site: StoredSite, identifier: str) -> None:
    """Exit code 1, also for what is a refresh token."""
    for unknown in (identifier, site.refresh_token()):
        result = site.run("access-keys", "show", unknown)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"there is no access key {unknown}" in result.stderr
