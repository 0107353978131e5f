"""`tokenserver people unpin`: the next person of the name inherits nothing."""

from __future__ import annotations

import time

from stored_sites import StoredSite

from tokenserver.identity import Kind
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.openid_people import OpenIdPeople
from tokenserver.storage.selection import Selection


def test_unpin(site: StoredSite) -> None:
    """Keys, refresh tokens and browser sessions of the person end; those of others with the name do not."""
    people = OpenIdPeople(site.store.database, site.store.keys, now=time.time)
    sessions = BrowserSessions(site.store.database, site.store.keys, now=time.time)
    people.log_in("sso", sub="1", subject="ann", groups=frozenset())
    mine, others = site.stored(source="sso")[1].id, site.stored()[1].id
    cookie, _ = sessions.begin(source="sso", subject="ann", kind=Kind.OIDC)
    result = site.run("people", "unpin", "ann", "--source", "sso")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "ann of sso is free; 1 access keys and refresh tokens have ended.\n"
    ended = {one.credential.id: one.reason for one in site.store.listed(Selection()) if one.ended is not None}
    assert ended == {mine: "the name was freed for somebody else"}
    assert others not in ended
    assert sessions.find(cookie) is None
    people.log_in("sso", sub="2", subject="ann", groups=frozenset())


def test_nobody(site: StoredSite) -> None:
    """Exit code 1 and one line."""
    result = site.run("people", "unpin", "ann", "--source", "sso")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nobody of sso has logged in as 'ann'" in result.stderr
