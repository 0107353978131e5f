"""The file of a store: who can read it, and files that are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
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
