"""The outbox: events come out once, in the order of their changes, and only if a command of this server left them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from stored_credentials import STATE_KEYS, new_database

from tokenserver.errors import AuditUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.outbox import AT_A_TIME, Outbox, OutboxRow, replace_waiting, waiting
from tokenserver.storage.tables import outbox

OUTBOX = Outbox(STATE_KEYS)


def put(database: Database, *names: str) -> None:
    for name in names:
        database.write(lambda connection, rev, name=name: OUTBOX.put(connection, rev, {"action": name}))  # type: ignore[misc]  # a default of its own


class Trail:
    """What was written, and refused."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.events: list[dict[str, Any]] = []
        self.refused: list[str] = []

    def write(self, event: dict[str, Any]) -> None:
        if len(self.events) >= self.room:
            raise AuditUnavailable("full")
        self.events.append(event)

    def take(self, database: Database) -> int:
        return OUTBOX.take(database, self.write, self.refused.append)

    @property
    def actions(self) -> list[str]:
        return [event["action"] for event in self.events]


def test_in_order_and_once(database: Database) -> None:
    """What was written is gone."""
    trail = Trail()
    assert not OUTBOX.has_any(database)
    put(database, "one", "two", "three")
    assert OUTBOX.has_any(database)
    assert (trail.take(database), trail.take(database)) == (3, 0)
    assert trail.actions == ["one", "two", "three"]
    assert len({event["change_id"] for event in trail.events}) == 3
    assert not OUTBOX.has_any(database)


def test_many(database: Database) -> None:
    """A transaction has a bound; the rest comes with the next."""

    def work(connection: Any, rev: int) -> None:
        for number in range(AT_A_TIME + 5):
            OUTBOX.put(connection, rev, {"action": str(number)})

    database.write(work)
    trail = Trail()
    assert (trail.take(database), trail.take(database)) == (AT_A_TIME, 5)
    assert sorted(map(int, trail.actions)) == list(range(AT_A_TIME + 5))


def test_a_change_that_is_undone_has_no_event(database: Database) -> None:
    """The event is part of the transaction."""

    def work(connection: Any, rev: int) -> None:
        OUTBOX.put(connection, rev, {"action": "one"})
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        database.write(work)
    assert not OUTBOX.has_any(database)


def test_an_audit_trail_that_is_full(database: Database) -> None:
    """What was written before is not written again, and the rest is still there."""
    put(database, "one", "two", "three")
    trail = Trail(room=1)
    with pytest.raises(AuditUnavailable):
        trail.take(database)
    assert trail.actions == ["one"]
    trail.room = 9
    trail.take(database)
    assert trail.actions == ["one", "two", "three"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"event": '{"action": "forged"}'}, id="another event"),
        pytest.param({"id": "0123456789abcdef"}, id="another id"),
        pytest.param({"seal": b"s" * 32}, id="another seal"),
        pytest.param({"pepper": 9}, id="another state key"),
    ],
)
def test_a_row_that_was_changed(database: Database, values: dict[str, Any]) -> None:
    """docs/design/threats.md#threat-224: it is refused and removed, and those after it are written."""
    put(database, "one")
    database.note(lambda connection: connection.execute(update(outbox).values(**values)))
    put(database, "two")
    trail = Trail()
    assert trail.take(database) == 2
    assert (trail.actions, len(trail.refused)) == (["two"], 1)
    assert not OUTBOX.has_any(database)


def test_a_row_that_another_program_wrote(database: Database) -> None:
    """docs/design/threats.md#threat-224: write access to the database is not enough for an event."""
    row = OutboxRow("f" * 16, '{"event": "management", "actor": "ann"}', 1, b"s" * 32, 1)
    database.note(lambda connection: connection.execute(insert(outbox).values(row._asdict())))
    trail = Trail()
    trail.take(database)
    assert (trail.events, trail.refused) == ([], ["f" * 16])


def test_two_servers_take_at_the_same_time(tmp_path: Path) -> None:
    """Each event is written by one of them."""
    first = new_database(tmp_path)
    put(first, *map(str, range(50)))
    databases = [first, *(Database(first.engine) for _ in range(3))]
    trails = [Trail() for _ in databases]
    threads = [threading.Thread(target=trail.take, args=(one,)) for trail, one in zip(trails, databases, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((action for trail in trails for action in trail.actions), key=int) == list(map(str, range(50)))
    first.close()


def test_what_waits_moves_to_another_database(tmp_path: Path) -> None:
    """It replaces what waits there, with the seals that it has."""
    old, new = new_database(tmp_path, "old.db"), new_database(tmp_path, "new.db")
    put(old, "one", "two")
    put(new, "of the backup")
    rows = old.read(waiting)
    new.write(lambda connection, rev: replace_waiting(connection, rev, rows))
    trail = Trail()
    trail.take(new)
    assert (sorted(trail.actions), trail.refused) == (["one", "two"], [])
    old.close()
    new.close()


VALUES = ("x'ff'", "5", "1e300", "9e18", "'text'", "char(10)", "cast(x'7bff7d' AS TEXT)", "x''", "zeroblob(99999)")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("column", ["id", "event", "pepper", "seal"])
def test_a_row_of_any_form_stops_no_other(column: str, value: str, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-258: it is refused once and removed, and the events behind it are written."""
    database = new_database(tmp_path)
    put(database, "one", "two")
    oldest = "rev = (SELECT min(rev) FROM outbox)"
    with database.engine.begin() as connection:
        connection.exec_driver_sql(" ".join(("UPDATE outbox SET", column, "=", value, "WHERE", oldest)))
    trail = Trail()
    assert (trail.take(database), trail.take(database)) == (2, 0)
    assert (trail.actions, len(trail.refused)) == (["two"], 1)
    assert isinstance(trail.refused[0], str)
    assert not OUTBOX.has_any(database)
    database.close()
