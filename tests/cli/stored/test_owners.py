"""Owners of credentials: found in the sources of users, in doubt where a directory cannot be asked."""

from __future__ import annotations

import json

import pytest
from stored_sites import StoredSite

DIRECTORY = """\
  - ldap: {name: corp, preset: openldap, url: "ldap://127.0.0.1:1", insecure_plaintext: true, base: "dc=x",
           deadline: 1s, bind_dn: "cn=reader,dc=x", bind_password: secret}
"""


@pytest.fixture
def with_directory(site: StoredSite) -> StoredSite:
    """The site with a directory between its two files, which does not answer."""
    site.configure("  - htpasswd: {file: others", DIRECTORY + "  - htpasswd: {file: others")
    return site


def test_a_user_of_an_earlier_source(with_directory: StoredSite) -> None:
    """The directory is not asked."""
    facts = with_directory.facts("access-keys", "create", "--user", "ann")
    assert facts["source"] == "staff"


def test_a_source_that_cannot_be_asked(with_directory: StoredSite) -> None:
    """Whose user it is is not known, and the fix names the source."""
    result = with_directory.run("access-keys", "create", "--user", "eve")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "corp cannot be asked whether it has 'eve'" in result.stderr
    assert "fix: --source corp if 'eve' is one of its users" in result.stderr
    assert with_directory.facts("access-keys", "create", "--user", "eve", "--source", "others")["source"] == "others"


def test_a_source_that_is_named(with_directory: StoredSite) -> None:
    """The key is made, with a warning: the server looks the owner up at each use."""
    result = with_directory.run("access-keys", "create", "--user", "zoe", "--source", "corp")
    assert result.exit_code == 0
    assert "warning: corp was not asked whether 'zoe' exists" in result.stderr
    (row,) = with_directory.facts("access-keys", "list")["access_keys"]
    assert (row["owner"], row["source"]) == ("zoe", "corp")


def test_orphans_are_not_guessed(with_directory: StoredSite) -> None:
    """An outage must not make owners look gone, and the directory is asked once, not for each of its users."""
    for owner in ("zoe", "yan"):
        with_directory.stored(owner=owner, source="corp")
    result = with_directory.run("access-keys", "list", "--orphaned")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("corp cannot be asked: ")
    assert line.endswith("; keys of its users are not in the list")


def test_orphans_of_other_sources_are_listed(with_directory: StoredSite) -> None:
    """One source that is down hides nobody else's."""
    with_directory.stored(owner="zoe", source="corp")
    gone = with_directory.stored(owner="zoe", source="staff")[1].id
    result = with_directory.run("access-keys", "list", "--orphaned", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {row["id"]: row["problem"] for row in found["access_keys"]} == {gone: "staff has no such user"}
    assert [*found["not_asked"]] == ["corp"]
    table = with_directory.run("access-keys", "list", "--orphaned")
    assert (table.exit_code, gone in table.stdout, "corp cannot be asked" in table.stderr) == (1, True, True)
