"""`tokenserver access-keys revoke`: what was named ends, nothing else does, and the exit code says whether all did."""

from __future__ import annotations

import json

from stored_sites import StoredSite


def test_by_id(site: StoredSite) -> None:
    """Those that are named; who ended them is in the row."""
    first, second, third = (site.stored()[1].id for _ in range(3))
    result = site.run("access-keys", "revoke", first, second)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {f"{first} was revoked.", f"{second} was revoked."} <= set(result.stdout.splitlines())
    assert site.live() == {third}
    row = site.row(first)
    assert (row.reason, str(row.ended_by).startswith("cli:")) == ("revoked by command", True)


def test_by_user(site: StoredSite) -> None:
    """All keys of that user, and no refresh token."""
    keys = {site.stored()[1].id for _ in range(2)}
    others = {site.stored(owner="bob")[1].id, site.refresh_token()}
    assert set(site.facts("access-keys", "revoke", "--user", "ann")["revoked"]) == keys
    assert site.live() == others


def test_what_is_not_there(site: StoredSite) -> None:
    """Exit code 1 where one of the ids was not ended; the others are."""
    key, refresh = site.stored()[1].id, site.refresh_token()
    result = site.run("access-keys", "revoke", key, "000000000000", refresh)
    assert (result.exit_code, site.live()) == (1, {refresh})
    assert result.stderr == f"There is no live access key 000000000000.\nThere is no live access key {refresh}.\n"
    again = site.run("access-keys", "revoke", key, "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (1, {"revoked": [], "not_found": [key]})
    nobody = site.run("access-keys", "revoke", "--user", "nobody")
    assert (nobody.exit_code, nobody.stderr) == (1, "There is no such live access key; nothing was changed.\n")


def test_one_way_to_name_them(site: StoredSite) -> None:
    """Neither nothing nor both: a mistake must not end all keys."""
    key = site.stored()[1].id
    for arguments in ([], [key, "--user", "ann"]):
        result = site.run("access-keys", "revoke", *arguments)
        assert (result.exit_code, site.live()) == (2, {key})
        assert "name the keys by their IDs, or their owner with --user" in result.stderr


def test_a_leaked_key(site: StoredSite) -> None:
    """The key itself names it, too."""
    key, made = site.stored()
    assert site.run("access-keys", "revoke", key.text.reveal()).exit_code == 0
    assert made.id not in site.live()
