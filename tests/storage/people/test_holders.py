"""Who holds credentials: people and workloads by name, with what can be used of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_credentials import STATE_KEYS, Clock, new_database

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Kind, Sort
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.people import holders as module
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.holders import Holder, holders
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore


def test_holders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and logins are counted apart; robots, and what has ended, are left out."""
    clock = Clock()
    database = new_database(tmp_path)
    store, sessions = (
        CredentialStore(database, STATE_KEYS, now=clock),
        BrowserSessions(database, STATE_KEYS, now=clock),
    )
    now = int(clock.now)

    def add(form: AccessKeyForm, owner: str, *, sort: Sort = Sort.USER, ends: int = 3600) -> str:
        wanted = StoredCredential(
            id="", form=form, owner=owner, sort=sort, source="local", created_by="x", ends=now + ends, created=now
        )
        return store.create(wanted, at_most=100)[1].id

    for form, owner in (
        (AccessKeyForm.PERSONAL, "ann"),
        (AccessKeyForm.PERSONAL, "ann"),
        (AccessKeyForm.REFRESH, "bob"),
    ):
        add(form, owner)
    add(AccessKeyForm.SESSION, "workload:ci:x", sort=Sort.WORKLOAD)
    add(AccessKeyForm.ROBOT, "robot:ci", sort=Sort.ROBOT)
    store.end(Selection(ids=frozenset({add(AccessKeyForm.PERSONAL, "eve")})), by="x", reason="x")
    sessions.begin(source="local", subject="ann", kind=Kind.PASSWORD)
    sessions.begin(source="ad", subject="ann", kind=Kind.PASSWORD)
    expected = [
        Holder("ann", "ad", 0, 1),
        Holder("ann", "local", 2, 1),
        Holder("bob", "local", 0, 1),
        Holder("workload:ci:x", "local", 0, 1),
    ]
    assert holders(database, now=now) == expected
    assert holders(database, now=now + 3600) == [Holder("ann", "ad", 0, 1), Holder("ann", "local", 0, 1)]
    monkeypatch.setattr(module, "MAX_HOLDERS", 1)
    assert holders(database, now=now) == expected[:1]
