"""Each statement on a real PostgreSQL loses its connection once: the answer is honest, and nothing is lost or doubled.

Beside tests/storage/test_faults.py, where SQLite interrupts them. Here the server ends the connection right before the
statement, as it does when it is restarted or fails over. A commit that breaks off is the one thing nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from harness.postgresql_server import postgresql_server
from sqlalchemy import Engine, event, text
from stored_credentials import DAY, FULL, NOW, PLAIN, STATE_KEYS, Clock

from tokenserver.access_keys import AccessKey
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Kind
from tokenserver.server.stored.announcing import AnnouncingStore
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.outbox import Outbox
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.device_flow import DeviceRequest
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.people.flows import Flows
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import metadata
from tokenserver.storage.unavailable import StorageUnavailable
from tokenserver.storage.upkeep.pruning import prune
from tokenserver.storage.upkeep.restoring import end_restored

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.alone]  # under load, statements take too long by themselves

REFRESH = replace(FULL, form=AccessKeyForm.REFRESH)
REQUEST = DeviceRequest("tokenserver-helper", "192.0.2.1", "", ("reg",))
ANN = Whose("", "subject", PLAIN.owner)


class World:
    """A database with one of each, and what can be done to it."""

    def __init__(self, engine: Engine) -> None:
        self.database = Database(engine)
        self.clock = Clock(NOW)
        self.store = AnnouncingStore(self.database, STATE_KEYS, now=self.clock, by="cli:ops")
        self.sessions = BrowserSessions(self.database, STATE_KEYS, now=self.clock)
        self.flows = Flows(self.database, Boxes(STATE_KEYS), now=self.clock)
        self.outbox = Outbox(STATE_KEYS)
        self.written: list[dict[str, Any]] = []
        self.key: AccessKey = self.store.create(PLAIN, at_most=9)[0]
        self.store.create(REFRESH, at_most=9)
        self.cookie, self.session = self.sessions.begin(source=PLAIN.source, subject=PLAIN.owner, kind=Kind.PASSWORD)
        self.codes = self.flows.begin(REQUEST, place="192.0.2.1")

    def end_with_browsers(self) -> object:
        return self.store.end(
            Selection(owner=PLAIN.owner),
            by="x",
            reason="lost",
            also=lambda connection, rev: self.sessions.end_within(connection, rev, whose=ANN),
        )

    def prune(self) -> object:
        return prune(self.database, now=NOW + 400 * DAY)

    def take(self) -> object:
        return self.outbox.take(self.database, self.written.append, pytest.fail)

    def content(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        with self.database.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(table.select()))) for table in metadata.sorted_tables
            }


CHANGES: dict[str, Callable[[World], object]] = {
    "create": lambda one: one.store.create(FULL, at_most=9),
    "create in place": lambda one: one.store.create_in_place(REFRESH, at_most=1, by="server", reason="limit"),
    "rotate": lambda one: one.store.rotate(one.key.id, ends=NOW + 9 * DAY, overlap=60, by="ann"),
    "rename": lambda one: one.store.rename(one.key.id, "other"),
    "end": lambda one: one.store.end(Selection(), by="ann", reason="lost"),
    "end by claims": lambda one: one.store.end(Selection(claims=FULL.claims), by="ann", reason="lost"),
    "end with logins in browsers": World.end_with_browsers,
    "end in browsers": lambda one: one.sessions.end_all(ANN),
    "log in by a browser": lambda one: one.sessions.begin(source="local", subject="bob", kind=Kind.PASSWORD),
    "log out": lambda one: one.sessions.end(one.session.id, source=one.session.source, subject=one.session.subject),
    "begin on a device": lambda one: one.flows.begin(REQUEST, place="192.0.2.2"),
    "announce": lambda one: one.store.announce_done("add_state_key", state_key=2),
    "write what was announced": World.take,
    "prune": World.prune,
    "end what was restored": lambda one: end_restored(one.store, logs=None, keep=False, by="ops"),
}

WHOLE = {name for name in CHANGES if name not in ("prune", "end what was restored")}
"""Changes of one transaction; the others are several, each of which may be made again."""


class Breaking:
    """Ends the connection of the statement with the number `at`, right before it is sent; commits count, too."""

    def __init__(self, engine: Engine, outside: Engine) -> None:
        self.at = -1
        self.count = 0
        self._outside = outside
        event.listen(engine, "before_cursor_execute", lambda connection, *_: self._next(connection))
        event.listen(engine, "commit", self._next)

    def _next(self, connection: Any) -> None:
        if self.count == self.at:
            process = connection.connection.dbapi_connection.info.backend_pid
            with self._outside.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})
        self.count += 1


@pytest.fixture(scope="module")
def outside() -> Iterator[Engine]:
    """Another connection to the database of all tests, which has the tables."""
    with postgresql_server() as server:
        found = engine_for(server.url)
        migrate_schema(found, server="", now=NOW)
        with found.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ALTER SYSTEM SET fsync = off"))  # the machine does not crash here
            connection.execute(text("SELECT pg_reload_conf()"))
        yield found
        found.dispose()


@contextmanager
def new_world(outside: Engine) -> Iterator[World]:
    """The database with one of each."""
    with outside.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in ("meta", "revision"):
                connection.execute(table.delete())
    engine = engine_for(outside.url.render_as_string(hide_password=False))
    world = World(engine)
    try:
        yield world
    finally:
        world.database.close()
        engine.dispose()


@pytest.mark.parametrize("name", CHANGES)
def test_every_statement_loses_its_connection_once(name: str, outside: Engine) -> None:
    """An error means that nothing has changed, and the same change works right after it; no error, that it is made."""
    refused = 0
    for number in count():
        with new_world(outside) as world:
            breaking = Breaking(world.database.engine, outside)
            is_refused = broken_change(name, world, breaking, number)
            refused += is_refused
            assert_whole(name, world)
            if breaking.count <= number:
                assert not is_refused
                break
    assert refused >= 2  # at least one statement and the commit


def broken_change(name: str, world: World, breaking: Breaking, number: int) -> bool:
    """Make the change while the statement with this number is broken; whether it was refused, and then made again."""
    before = world.content()
    breaking.count, breaking.at = 0, number
    try:
        CHANGES[name](world)
    except StorageUnavailable:
        breaking.at = -1
        if name in WHOLE:
            assert world.content() == before, f"statement {number}"
        CHANGES[name](world)
        breaking.count = number + 1
        return True
    breaking.at = -1
    if name != "end by claims":
        assert world.content() != before, f"statement {number}"
    return False


def assert_whole(name: str, world: World) -> None:
    """What was asked for has been done once."""
    rows = world.content()
    live = world.store.listed(Selection())
    counts = {"create": 3, "create in place": 3, "rotate": 3}
    if name != "prune":
        assert len(live) == counts.get(name, 2)
    if name in ("end", "end with logins in browsers", "end what was restored"):
        assert [one for one in live if one.ended is None] == []
    if name in ("end with logins in browsers", "end in browsers", "log out"):
        assert world.sessions.find(world.cookie) is None
    if name == "write what was announced":
        # At least once: what was written before the connection was lost is written again, as the same event.
        assert len({event["change_id"] for event in world.written}) == 1
        assert rows["outbox"] == []
