"""`tokenserver people list`: who has logged in at an OpenID provider."""

from __future__ import annotations

import time

from stored_sites import StoredSite

from tokenserver.storage.people.openid_people import OpenIdPeople


def people_of(site: StoredSite) -> OpenIdPeople:
    """The people in the storage of the site."""
    return OpenIdPeople(site.store.database, site.store.keys, now=time.time)


def test_nobody(site: StoredSite) -> None:
    """One line on standard error."""
    result = site.run("people", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nobody has logged in at an OpenID provider.\n"


def test_people(site: StoredSite) -> None:
    """A row for each, with the groups of the last answer; all of it as JSON."""
    people = people_of(site)
    ann = people.log_in("sso", sub="1", subject="ann@example.com", groups=frozenset({"web", "devs"}))
    people.end(people.log_in("other", sub="2", subject="bob", groups=frozenset({"x"})))
    heads, bob, row = site.run("people", "list").stdout.splitlines()
    assert heads.split() == ["SOURCE", "USER", "LAST", "LOGIN", "GROUPS"]
    assert bob.split()[:2] == ["other", "bob"]
    assert bob.endswith("(ended)")
    assert row.split()[:2] == ["sso", "ann@example.com"]
    assert row.endswith("devs, web")
    (facts,) = site.facts("people", "list", "--source", "sso")["people"]
    assert facts == {
        "source": "sso",
        "user": "ann@example.com",
        "sub": "1",
        "groups": ["devs", "web"],
        "last_login": ann.seen,
        "active": True,
    }
