"""Copies of databases: complete and sound, also while others write."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from stored_credentials import NOW, PLAIN, new_database, sqlite, store_of

from tokenserver.errors import LoadError
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection
from tokenserver.storage.upkeep.backup import back_up, damage_of, replace_content, require_backup


def test_a_backup_while_others_write(database: Database, tmp_path: Path) -> None:
    """It is the database as of one moment: the revision says how many credentials there are."""
    store, stop = store_of(database), threading.Event()
    store.create(PLAIN, at_most=9999)

    def write() -> None:
        while not stop.is_set():
            store.create(PLAIN, at_most=9999)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(3):
            copy = tmp_path / f"copy{number}.db"
            assert back_up(tmp_path / "state.db", copy) == copy.stat().st_size
            assert damage_of(copy) is None
            copied = store_of(Database(sqlite(tmp_path, copy.name)))
            rows = copied.listed(Selection())
            assert len(rows) >= copied.database.revision() > 0
    finally:
        stop.set()
        for writer in writers:
            writer.join()


@pytest.mark.parametrize(
    ("target", "told"),
    [("state.db", "exists; a backup never overwrites"), ("none/x.db", "cannot be written: No such file")],
)
def test_targets_that_cannot_be(database: Database, tmp_path: Path, target: str, told: str) -> None:
    """With the reason."""
    with pytest.raises(LoadError, match=told):
        back_up(tmp_path / "state.db", tmp_path / target)


def test_a_database_that_cannot_be_read(tmp_path: Path) -> None:
    """No half a backup is left."""
    (tmp_path / "state.db").write_bytes(b"x" * 9000)
    with pytest.raises(StorageUnavailable, match="not a database"):
        back_up(tmp_path / "state.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_damaged_database_gives_no_backup(database: Database, tmp_path: Path) -> None:
    """Nobody should find out when they need it."""
    for _ in range(60):
        store_of(database).create(PLAIN, at_most=99)
    database.close()
    content = bytearray((tmp_path / "state.db").read_bytes())
    content[-8192:] = b"x" * 8192
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises((LoadError, StorageUnavailable)):
        back_up(tmp_path / "state.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_backup_of_a_newer_program(tmp_path: Path) -> None:
    """It would be refused at the next start."""
    engine = new_database(tmp_path).engine
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET schema = 9")
    with pytest.raises(LoadError, match=r"was made by a newer program \(version 9 of the tables\)"):
        require_backup(tmp_path / "state.db")


def test_content_is_replaced_as_a_whole(database: Database, tmp_path: Path) -> None:
    """Connections that are open see it at their next transaction."""
    store = store_of(database)
    other = store_of(new_database(tmp_path, "other.db"))
    key, _ = other.create(PLAIN, at_most=9)
    store.create(PLAIN, at_most=9)
    with database.engine.connect() as open_before:
        replace_content(tmp_path / "state.db", tmp_path / "other.db")
        ids = open_before.exec_driver_sql("SELECT id FROM credentials").scalars().all()
        assert ids == [key.id]
    assert store.create(PLAIN, at_most=9)[1].created == NOW


def test_a_database_that_cannot_be_written(database: Database, tmp_path: Path) -> None:
    """It is as before."""
    with pytest.raises(StorageUnavailable):
        replace_content(tmp_path / "none.db", tmp_path / "state.db")
