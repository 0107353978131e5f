"""What is stored of people of OpenID providers: how all their logins end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stored_credentials import NOW, PLAIN, STATE_KEYS, Clock, new_database, store_of

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Kind
from tokenserver.server.stored.openid import stored_openid
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.selection import Selection


def test_ends(tmp_path: Path) -> None:
    """Refresh tokens and browser sessions of this person of this source, and nobody else's; access keys stay."""
    clock, database = Clock(), new_database(tmp_path)
    store, sessions = store_of(database, clock), BrowserSessions(database, STATE_KEYS, now=clock)
    openid = stored_openid(store, sessions, now=clock, grace=lambda: 900.0)
    mine = replace(PLAIN, form=AccessKeyForm.REFRESH, source="sso")
    kinds = {
        "mine": mine,
        "others": replace(mine, owner="bob"),
        "elsewhere": replace(mine, source="x"),
        "key": replace(PLAIN, source="sso"),
    }
    ids = {store.create(one, at_most=9)[1].id: name for name, one in kinds.items()}
    cookies = [
        sessions.begin(source="sso", subject=subject, kind=Kind.OIDC, sid=sid)[0]
        for subject, sid in (("ann", "1"), ("ann", "2"), ("bob", "3"))
    ]
    openid.end_session("sso", "1")
    assert [sessions.find(cookie) is not None for cookie in cookies] == [False, True, True]
    openid.end_logins("sso", "ann", "gone", sessions=False)
    assert [sessions.find(cookie) is not None for cookie in cookies] == [False, True, True]
    ended = {ids[one.credential.id]: one.reason for one in store.listed(Selection()) if one.ended is not None}
    assert ended == {"mine": "gone"}
    openid.end_logins("sso", "ann", "gone")
    assert [sessions.find(cookie) is not None for cookie in cookies] == [False, False, True]
    assert not openid.seen.is_known("https://sso.example.com", "j")
    assert openid.seen.is_new("https://sso.example.com", "j", NOW + 9)
    assert openid.seen.is_known("https://sso.example.com", "j")
    assert not openid.seen.is_new("https://sso.example.com", "j", NOW + 9)
