"""Refresh tokens and sessions in the storage: the newest login always gets one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from stored_credentials import PLAIN, store_of

from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import OutdatedLogin
from tokenserver.server.stored.logins import StoredLogins
from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection

WANTED = replace(PLAIN, form=AccessKeyForm.REFRESH)


def test_the_limit_ends_older_ones(database: Database) -> None:
    """By the server, and with the reason."""
    store = store_of(database)
    logins = StoredLogins(store)
    first, second = (logins.begin(WANTED, 1, None) for _ in range(2))
    assert (first.displaced, second.displaced) == ((), (first.id,))
    (ended,) = store.listed(Selection(ids=frozenset({first.id})))
    assert (ended.ended_by, ended.reason) == ("server", "displaced by a newer login: the limit is 1")


def test_logins_that_come_together(database: Database) -> None:
    """Each gets a refresh token, however many there are, and the limit holds: what one displaces, no other does."""
    store = store_of(database)
    logins = StoredLogins(store)
    with ThreadPoolExecutor(16) as pool:
        begun = list(pool.map(lambda _: logins.begin(WANTED, 2, None), range(32)))
    displaced = [identifier for one in begun for identifier in one.displaced]
    live = {one.credential.id for one in store.listed(Selection()) if one.ended is None}
    assert (len(live), len(displaced), len(set(displaced))) == (2, 30, 30)
    assert live | set(displaced) == {one.id for one in begun}


def test_one_is_ended(database: Database) -> None:
    """By the server, for the reason that is given."""
    store = store_of(database)
    logins = StoredLogins(store)
    begun = logins.begin(WANTED, 2, None)
    logins.end(begun.id, "the password changed")
    (ended,) = store.listed(Selection())
    assert (ended.ended_by, ended.reason) == ("server", "the password changed")


def test_a_login_that_is_too_old(database: Database) -> None:
    """It displaces nothing."""
    store = store_of(database)
    logins = StoredLogins(store)
    before = database.revision()
    store.end(Selection(owner="ann"), by="ann", reason="lost")
    kept = logins.begin(WANTED, 1, database.revision())
    with pytest.raises(OutdatedLogin):
        logins.begin(WANTED, 1, before)
    assert [(one.credential.id, one.ended) for one in store.listed(Selection())] == [(kept.id, None)]
