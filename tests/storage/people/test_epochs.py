"""Epochs: what was verified before all logins of a person ended is not stored (docs/design/threats.md#threat-220).

The same on PostgreSQL: tests/e2e/test_storage_postgresql.py.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from login_races import (
    ACTORS,
    ENDS,
    OTHER_ENDS,
    OTHER_SESSION_ENDS,
    SESSION_ENDS,
    STORED,
    WEB,
    actor_race,
    begin_session,
    is_refused,
    race,
    sessions_of,
)
from stored_credentials import DAY, NOW, store_of

from tokenserver.identity import Kind
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import Selection
from tokenserver.storage.upkeep.pruning import prune


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


@pytest.mark.parametrize("actor", ACTORS)
def test_a_change_while_the_end_of_the_actor_commits(database: Database, tmp_path: Path, actor: str) -> None:
    """It waits for the other transaction, which may be that of another process, and is not made."""
    other = Database(engine_for(tmp_path / "state.db"))
    try:
        assert actor_race(actor, database, other) == (True, True)
        assert len(store_of(other).listed(Selection(owner="ann"))) == 1
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


@pytest.mark.parametrize("end", SESSION_ENDS)
def test_a_session_in_flight(database: Database, end: str) -> None:
    """The token of a workload was verified before the end: no session; verified again, it makes one."""
    before = database.revision()
    SESSION_ENDS[end](database)
    assert is_refused(begin_session, database, before)
    assert not is_refused(begin_session, database, database.revision())


@pytest.mark.parametrize("end", SESSION_ENDS)
def test_a_token_of_before(database: Database, end: str) -> None:
    """It is still accepted by itself, and is no way to a session that outlives it: also a while later."""
    SESSION_ENDS[end](database)
    later = database.revision()
    assert is_refused(partial(begin_session, issued=NOW), database, later)
    assert not is_refused(partial(begin_session, issued=NOW + 1), database, later)


@pytest.mark.parametrize("end", OTHER_SESSION_ENDS)
def test_the_sessions_of_others_go_on(database: Database, end: str) -> None:
    """An end is for those whom it names."""
    before = database.revision()
    OTHER_SESSION_ENDS[end](database)
    assert not is_refused(partial(begin_session, issued=NOW - DAY), database, before)


def test_what_was_made_after_the_moment(database: Database) -> None:
    """A token of a workload that was made later than the moment before which all ends is good for a session."""
    moment = NOW - 3600
    store_of(database).end(Selection(before=moment), by="root", reason="lost")
    sessions_of(database).end_everybody(before=moment)
    later = database.revision()
    assert not is_refused(partial(begin_session, issued=moment), database, later)
    assert is_refused(partial(begin_session, issued=moment - 1), database, later)


def test_an_earlier_moment_takes_nothing_back(database: Database) -> None:
    """Of several ends, the one that reaches furthest counts."""
    store_of(database).end(Selection(), by="root", reason="lost")
    store_of(database).end(Selection(before=NOW - 3600), by="root", reason="lost")
    assert is_refused(partial(begin_session, issued=NOW), database, database.revision())


def test_an_old_moment_is_kept(database: Database) -> None:
    """An end is not forgotten with those of a month ago, however old the moment is that it names."""
    before = database.revision()
    store_of(database).end(Selection(before=NOW - 300 * DAY), by="root", reason="lost")
    prune(database, now=NOW)
    assert is_refused(begin_session, database, before)


def test_a_session_while_the_end_of_its_workload_commits(database: Database, tmp_path: Path) -> None:
    """It waits for the other transaction, which may be that of another process, and is refused."""
    other = Database(engine_for(tmp_path / "state.db"))
    try:
        assert race(database, other, WEB, begin_session) == (True, True)
        assert store_of(other).listed(WEB) == []
    finally:
        other.close()


def test_a_session_just_before_the_end_of_its_workload(database: Database) -> None:
    """Which sessions a workload has is found out in the transaction that ends them."""
    begin_session(database, database.revision())
    ended = store_of(database).end(WEB, by="root", reason="lost")
    assert len(ended) == 1
    assert [one.ended is None for one in store_of(database).listed(WEB)] == [False]
