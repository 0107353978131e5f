"""Epochs: what was verified before all logins of a person ended is not stored (docs/design/threats.md#threat-220).

The same on PostgreSQL: tests/e2e/test_storage_postgresql.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from login_races import ENDS, OTHER_ENDS, STORED, is_refused, race, sessions_of
from stored_credentials import store_of

from tokenserver.identity import Kind
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import Selection


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("end", ENDS)
def test_a_login_in_flight(database: Database, end: str, stored: str) -> None:
    """It was verified before the end: nothing is stored; one that is verified once the end is known is."""
    before = database.revision()
    ENDS[end](database)
    assert is_refused(STORED[stored], database, before)
    assert not is_refused(STORED[stored], database, database.revision())


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("end", OTHER_ENDS)
def test_the_logins_of_others_go_on(database: Database, end: str, stored: str) -> None:
    """An end is for those whom it names."""
    before = database.revision()
    OTHER_ENDS[end](database)
    assert not is_refused(STORED[stored], database, before)


@pytest.mark.parametrize("stored", STORED)
def test_without_a_login(database: Database, stored: str) -> None:
    """What an administrator makes by a command, or a robot for somebody, is no login in flight."""
    ENDS["a person"](database)
    assert not is_refused(STORED[stored], database, None)


@pytest.mark.parametrize("whose", [Whose("local", "sub", "1"), Whose("local", "sid", "s")])
def test_a_login_that_the_provider_has_ended(database: Database, whose: Whose) -> None:
    """By its own name of the person or of its session: a browser session in flight does not begin."""
    before = database.revision()
    sessions_of(database).end_all(whose)
    assert is_refused(STORED["a browser session"], database, before)
    assert not is_refused(STORED["a refresh token"], database, before)


def test_of_several_ends_the_last_one_counts(database: Database) -> None:
    """A login between two ends is refused."""
    ENDS["a person"](database)
    between = database.revision()
    ENDS["a person"](database)
    assert is_refused(STORED["a refresh token"], database, between)


@pytest.mark.parametrize("stored", ["a refresh token", "an access key", "a browser session"])
def test_a_login_while_the_end_commits(database: Database, tmp_path: Path, stored: str) -> None:
    """It waits for the other transaction, which may be that of another process, and is refused."""
    other = Database(engine_for(tmp_path / "state.db"))
    try:
        assert race(database, other, Selection(owner="ann"), STORED[stored]) == (True, True)
        assert store_of(other).listed(Selection(owner="ann")) == []
    finally:
        other.close()


def test_a_session_that_is_live_is_later_than_every_end(database: Database) -> None:
    """One that an end has spared vouches for what its owner makes afterwards."""
    sessions = sessions_of(database)
    cookie, session = sessions.begin(source="local", subject="ann", kind=Kind.PASSWORD)
    assert sessions.end_all(Whose("", "subject", "ann"), but=session.id) == 0
    found = sessions.find(cookie)
    assert found is not None
    assert found.live_at == database.revision()
    assert not is_refused(STORED["an access key"], database, found.live_at)
