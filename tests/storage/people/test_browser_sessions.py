"""Browser sessions: found by the cookie alone, for an hour without use and twelve in all, and sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from stored_credentials import STATE_KEYS, Clock, new_database

from tokenserver.credentials import Secret
from tokenserver.errors import OutdatedLogin
from tokenserver.identity import Kind
from tokenserver.storage.people.browser_sessions import (
    IDLE_SECONDS,
    LIFETIME_SECONDS,
    SEEN_SECONDS,
    BrowserSession,
    BrowserSessions,
)
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.tables import browser_sessions


class World:
    """Sessions in a new database, with a clock of their own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.database = new_database(folder)
        self.sessions = BrowserSessions(self.database, STATE_KEYS, now=self.clock)

    def begin(self, **facts: Any) -> tuple[Secret, BrowserSession]:
        """The session of ann, with some facts of its own."""
        return self.sessions.begin(**{"source": "local", "subject": "ann", "kind": Kind.PASSWORD, **facts})


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A new one."""
    return World(tmp_path)


def test_the_cookie_finds_the_session(world: World) -> None:
    """With all that was given; another cookie finds nothing, and the row does not have the cookie."""
    facts: dict[str, Any] = {"proof": b"p", "sub": "1", "sid": "2", "made_from": "192.0.2.1", "client": "Firefox"}
    cookie, session = world.begin(**facts)
    assert world.sessions.find(cookie) == session
    assert {name: getattr(session, name) for name in facts} == facts
    assert world.sessions.find(Secret("0" * 64)) is None
    assert world.sessions.find(Secret("\udcff")) is None
    assert cookie.reveal() not in repr(session)
    assert session.id != cookie.reveal()


def test_unused_for_an_hour(world: World) -> None:
    """Each use makes the hour begin again, to the minute."""
    cookie, _ = world.begin()
    world.clock.now += IDLE_SECONDS - 1
    assert world.sessions.find(cookie) is not None
    world.clock.now += SEEN_SECONDS - 1
    assert world.sessions.find(cookie) is not None
    world.clock.now += IDLE_SECONDS - SEEN_SECONDS
    assert world.sessions.find(cookie) is not None
    world.clock.now += IDLE_SECONDS
    assert world.sessions.find(cookie) is None
    assert world.sessions.listed(source="local", subject="ann") == []


def test_twelve_hours_in_all(world: World) -> None:
    """However much it is used."""
    cookie, session = world.begin()
    assert session.ends == session.made + LIFETIME_SECONDS
    while world.clock.now < session.ends:
        assert world.sessions.find(cookie) is not None
        world.clock.now += IDLE_SECONDS // 2
    assert world.sessions.find(cookie) is None


def test_listed_and_ended_by_the_owner_alone(world: World) -> None:
    """Sessions of another person, or of the same name in another source, are somebody else's."""
    first, one = world.begin()
    world.clock.now += 1
    second, two = world.begin()
    world.begin(subject="bob")
    world.begin(source="corp")
    assert [session.id for session in world.sessions.listed(source="local", subject="ann")] == [two.id, one.id]
    assert not world.sessions.end(one.id, source="corp", subject="ann")
    assert world.sessions.end(one.id, source="local", subject="ann")
    assert not world.sessions.end(one.id, source="local", subject="ann")
    assert world.sessions.find(first) is None
    assert world.sessions.find(second) is not None


@pytest.mark.parametrize(
    ("wanted", "ended"),
    [
        (Whose("corp", "sub", "1"), ["a", "b"]),
        (Whose("corp", "sid", "y"), ["b"]),
        (Whose("corp", "subject", "bob"), ["c"]),
        (Whose("", "subject", "bob"), ["c"]),
        (Whose("local", "subject", "bob"), []),
        (Whose("corp", "subject", ""), []),
        (Whose("corp", "sid", ""), []),
    ],
)
def test_all_of_a_kind_end(world: World, wanted: Whose, ended: list[str]) -> None:
    """By the name here, or as a provider's logout says: by its name of the person, or of its session."""
    cookies = {
        "a": world.begin(source="corp", sub="1", sid="x")[0],
        "b": world.begin(source="corp", sub="1", sid="y")[0],
        "c": world.begin(source="corp", sub="2", sid="x2", subject="bob")[0],
    }
    assert world.sessions.end_all(wanted) == len(ended)
    assert [name for name, cookie in cookies.items() if world.sessions.find(cookie) is None] == ended


def test_everybody_before_a_moment(world: World) -> None:
    """Sessions of all sources that began before it end, and no login in flight begins one; later ones go on."""
    older = [world.begin()[0], world.begin(source="corp", sub="1", subject="bob")[0]]
    verified = world.sessions.revision()
    world.clock.now += 1
    newer, session = world.begin()
    assert world.sessions.end_everybody(before=session.made) == 2
    assert [world.sessions.find(cookie) for cookie in older] == [None, None]
    assert world.sessions.find(newer) is not None
    assert world.sessions.end_everybody(before=session.made) == 0
    with pytest.raises(OutdatedLogin):
        world.begin(verified=verified)


def test_expired_sessions_end_and_do_not_count(world: World) -> None:
    """They are over for their browsers, and stay so if the clock is set back."""
    cookie, _ = world.begin()
    world.clock.now += IDLE_SECONDS
    assert world.sessions.end_all(Whose("", "subject", "ann")) == 0
    world.clock.now -= IDLE_SECONDS
    assert world.sessions.find(cookie) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", b"x" * 32),
        ("source", "corp"),
        ("subject", "root"),
        ("kind", "oidc"),
        ("proof", b"other"),
        ("sub", "9"),
        ("sid", "9"),
        ("made", 1),
        ("ends", 1_900_000_000),
        ("pepper", 7),
        ("seal", b"x" * 32),
    ],
)
def test_a_changed_row_is_no_session(world: World, column: str, value: object) -> None:
    """Writing to the database does not make anybody somebody else."""
    cookie, session = world.begin(sub="1", sid="2", proof=b"p")
    with world.database.engine.begin() as connection:
        connection.execute(update(browser_sessions).values({column: value}))
    assert world.sessions.find(cookie) is None
    assert session not in world.sessions.listed(source="local", subject="ann")
