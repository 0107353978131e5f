"""A worker that follows by revision loses no row, however long transactions take. PostgreSQL: e2e."""

from __future__ import annotations

from pathlib import Path

from sleeping_writers import follow_writers, overtake
from stored_credentials import new_database

from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.following.signals import SqliteSignal


def test_writers_that_sleep_lose_no_row(tmp_path: Path) -> None:
    """Four writers, as many workers have them, while a fifth follows (docs/design/threats.md#threat-179)."""
    database = new_database(tmp_path)
    writers = [Database(engine_for(tmp_path / "state.db")) for _ in range(4)]
    found = follow_writers(writers, database, SqliteSignal(tmp_path / "state.db", seconds=0.0))
    assert found.known == found.written
    assert found.partial > 3
    for one in (database, *writers):
        one.close()


def test_no_writer_overtakes_another(tmp_path: Path) -> None:
    """The second one waits for the revision of the first, so its row is never seen before."""
    database = new_database(tmp_path)
    first, second = (Database(engine_for(tmp_path / "state.db")) for _ in range(2))
    assert overtake(first, second, database, SqliteSignal(tmp_path / "state.db", seconds=0.0)) == [0, 2, 2]
    for one in (database, first, second):
        one.close()
