"""The drain of the outbox: when it looks, and what an outage or a forged row does to it."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from sqlalchemy import event, update
from stored_credentials import STATE_KEYS

from tokenserver.errors import AuditUnavailable
from tokenserver.server.stored import outbox_drain
from tokenserver.server.stored.outbox_drain import FORGED, REST_SECONDS, OutboxDrain
from tokenserver.storage.database import Database
from tokenserver.storage.outbox import Outbox
from tokenserver.storage.tables import outbox
from tokenserver.storage.unavailable import StorageUnavailable

OUTBOX = Outbox(STATE_KEYS)


class Server:
    """A process with its audit trail; `revision` is what its follower knows."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.events: list[dict[str, Any]] = []
        self.is_full = self.is_down = False
        self.revision = 0
        self.now = 1000.0
        self.drain = OutboxDrain(
            database,
            OUTBOX,
            self.record,
            revision=lambda: self.revision,
            is_down=lambda: self.is_down,
            monotonic=lambda: self.now,
        )

    def record(self, event: dict[str, Any]) -> None:
        if self.is_full:
            raise AuditUnavailable("full")
        self.events.append(event)

    def put(self, *names: str) -> None:
        for name in names:
            self.database.write(lambda connection, rev: OUTBOX.put(connection, rev, {"action": name}))  # noqa: B023 - run here
            self.revision += 1

    @property
    def actions(self) -> list[str]:
        return [event["action"] for event in self.events]


@pytest.fixture
def server(database: Database) -> Server:
    return Server(database)


def test_what_was_left_before_the_start(server: Server) -> None:
    """The first look has it, whatever the revision."""
    server.put("one")
    server.revision = 0
    assert server.drain.look() == 1
    assert server.actions == ["one"]


def test_it_looks_only_after_a_change(server: Server) -> None:
    """No statement while nothing changes; a change of another process is seen by the revision."""
    statements: list[object] = []
    server.drain.look()
    event.listen(server.database.engine, "before_cursor_execute", lambda *_: statements.append(1))
    assert server.drain.look() == 0
    assert statements == []
    server.put("one", "two")
    assert server.drain.look() == 2
    server.now += REST_SECONDS
    statements.clear()
    assert server.drain.look() == 0
    assert statements != []


@pytest.mark.parametrize("is_known", [False, True])
def test_an_audit_trail_that_is_full(server: Server, is_known: bool) -> None:
    """The events wait, and are written when there is room."""
    server.put("one")
    server.is_full, server.is_down = not is_known, is_known
    assert (server.drain.look(), server.events) == (0, [])
    server.is_full = server.is_down = False
    assert server.drain.look() == 1


def test_a_database_that_does_not_answer(server: Server) -> None:
    """It is looked into again."""
    server.put("one")

    def refuse(*_: object) -> None:
        raise StorageUnavailable("is away")

    event.listen(server.database.engine, "begin", refuse)
    assert server.drain.look() == 0
    event.remove(server.database.engine, "begin", refuse)
    assert server.drain.look() == 1


def test_a_forged_row(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """docs/design/threats.md#threat-224: the trail says that there was one; nothing of what it says is repeated."""
    server.put("one")
    server.database.note(lambda connection: connection.execute(update(outbox).values(event='{"actor": "ann"}')))
    with caplog.at_level(logging.ERROR):
        server.drain.look()
    (written,) = server.events
    assert (written["event"], written["outcome"], written["problem"]) == ("management", "forged", FORGED)
    assert "ann" not in str(written)
    assert FORGED in caplog.text


def test_the_thread(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on after an unexpected error, and ends when it is told to."""
    monkeypatch.setattr(outbox_drain, "LOOK_SECONDS", 0.01)
    original, failures = OUTBOX.has_any, [ValueError("its text is not logged")]

    def has_any(database: Database) -> bool:
        if failures:
            raise failures.pop()
        return original(database)

    monkeypatch.setattr(OUTBOX, "has_any", has_any)
    stop = threading.Event()
    thread = server.drain.start(stop)
    server.put("one")
    end = time.monotonic() + 10
    while not server.events and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    assert (server.actions, thread.is_alive()) == (["one"], False)
