"""The file of a store: who can read it, and files that are none."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tokenserver.audit.store.database import open_store, transaction, writable_store
from tokenserver.errors import LoadError


def test_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-234: a store is as secret as the log."""
    path = tmp_path / "s.db"
    with writable_store(path) as connection, transaction(connection):
        connection.execute("INSERT INTO sources VALUES (x'00', 1, x'00')")
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    with open_store(path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM sources")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody else may have put it there."""
    (tmp_path / "s.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(LoadError, match="cannot be opened: Too many levels"), writable_store(tmp_path / "s.db"):
        pass
    assert not (tmp_path / "elsewhere.db").exists()


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    """A transaction is whole, or was not there."""
    with writable_store(tmp_path / "s.db") as connection:
        rows = [(b"0", 1, b"0"), (b"0", 1, b"0")]
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.executemany("INSERT INTO sources VALUES (?, ?, ?)", rows)
        assert connection.execute("SELECT count(*) FROM sources").fetchone() == (0,)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")


def _other_version(path: Path) -> None:
    with writable_store(path) as connection:
        connection.execute("PRAGMA user_version = 99")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _: None, "is no store; fix: tokenserver audit index FILES --into"),
    "something else": (lambda path: path.write_text("x" * 4096), "cannot be used as a store: file is not a database"),
    "another database": (_other_database, "is a database of something else"),
    "another version": (_other_version, "is a store of version 99, and this is for 2"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_store(name: str, tmp_path: Path) -> None:
    """They are not searched, and nothing is added to them."""
    make, said = FILES[name]
    path = tmp_path / "s.db"
    make(path)
    if path.exists():
        path.chmod(0o600)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(LoadError, match=said), open_store(path):
        pass
    if before is not None:
        with pytest.raises(LoadError, match=said), writable_store(path):
            pass
        with sqlite3.connect(path) as connection:
            if name == "another database":
                assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The fault has the path."""
    with pytest.raises(LoadError, match="cannot be opened: No such file"), writable_store(tmp_path / "a" / "s.db"):
        pass


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_store_that_others_can_read_or_change(suffix: str, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-257: copied with another umask, or with a journal of somebody else beside it."""
    path = tmp_path / "s.db"
    with writable_store(path):
        pass
    other = tmp_path / f"s.db{suffix}"
    other.touch()
    other.chmod(0o644)
    with pytest.raises(LoadError, match="can be read by others"), writable_store(path):
        pass
    with open_store(path):
        pass
    other.chmod(0o666)
    with pytest.raises(LoadError, match="can be changed by others"), open_store(path):
        pass
    for one in tmp_path.iterdir():
        one.chmod(0o600)
    with writable_store(path), open_store(path):
        pass


def test_a_pipe(tmp_path: Path) -> None:
    """Nobody waits for its other end."""
    os.mkfifo(tmp_path / "s.db", 0o600)
    with pytest.raises(LoadError, match="is not a regular file"), writable_store(tmp_path / "s.db"):
        pass
    with pytest.raises(LoadError, match="is no store"), open_store(tmp_path / "s.db"):
        pass


OTHER_TABLES = {
    "a view in the place of a table": (
        "ALTER TABLE sources RENAME TO other; CREATE VIEW sources AS SELECT head, length, digest FROM other"
    ),
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON chunks BEGIN DELETE FROM chunks; END",
    "one more": "CREATE TABLE more (x)",
    "one less": "DROP TABLE sources",
}


@pytest.mark.parametrize("statements", OTHER_TABLES)
def test_other_tables(statements: str, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-257: what SQLite would run for somebody else is refused."""
    path = tmp_path / "s.db"
    with writable_store(path) as connection:
        connection.executescript(OTHER_TABLES[statements])
    for open_one in (open_store, writable_store):
        with pytest.raises(LoadError, match="is damaged; fix: index the files into a new one"), open_one(path):
            pass


def test_the_database_of_somebody_else_stays_as_it_is(tmp_path: Path) -> None:
    """It is only looked at: not even the way it keeps its journal changes."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(LoadError, match="is a database of something else"), writable_store(path):
        pass
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["other.db"]
