"""Engines: durable SQLite with limits, and places that cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from stored_credentials import sqlite

from tokenserver.storage.engines import READS, UnusableStorage, engine_for


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 2000), ("foreign_keys", 1)],
)
def test_sqlite_is_durable_and_limited(tmp_path: Path, pragma: str, expected: object) -> None:
    """Every connection has these."""
    with sqlite(tmp_path).connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == expected


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "q?mode=memory#x.db"])
def test_any_name_is_a_file(tmp_path: Path, name: str) -> None:
    """Nothing of a path is read as part of a URL."""
    with sqlite(tmp_path, name).begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    assert (tmp_path / name).stat().st_size > 0
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    """An empty database would be one that knows no credential."""
    with pytest.raises(OperationalError, match="unable to open"), engine_for(tmp_path / "none.db").connect():
        pass
    assert list(tmp_path.iterdir()) == []


def test_further_files_are_private(tmp_path: Path) -> None:
    """The log and the shared memory, while the database is open."""
    with sqlite(tmp_path).begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-258: it is read, so that the seal of its row is found wrong."""
    with sqlite(tmp_path).begin() as connection:
        rows = connection.execute(
            text("SELECT 'ann' UNION ALL SELECT CAST(x'61ff' AS TEXT) UNION ALL SELECT 'é'")
        ).all()
    assert [*map(tuple, rows)] == [("ann",), ("a\udcff",), ("é",)]


def test_a_writer_is_alone_from_its_beginning(tmp_path: Path) -> None:
    """Readers go on; a second writer would wait for two seconds, so this one is told not to."""
    engine = sqlite(tmp_path)
    with engine.begin() as first:
        first.execute(text("CREATE TABLE t (x INTEGER)"))
        with engine.connect().execution_options(**{READS: True}) as reader:
            assert reader.execute(text("SELECT 1")).scalar_one() == 1
        second = engine.raw_connection()
        try:
            second.cursor().execute("PRAGMA busy_timeout = 0")
            with pytest.raises(Exception, match="database is locked"):
                second.cursor().execute("BEGIN IMMEDIATE")
        finally:
            second.close()


def test_text_that_is_no_url() -> None:
    """The settings refuse it earlier; commands get it from nowhere else."""
    with pytest.raises(UnusableStorage, match="is neither a path nor a URL"):
        engine_for("nonsense")


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL is optional."""
    monkeypatch.delitem(sys.modules, "tokenserver.storage.connections.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UnusableStorage, match=r"pip install 'tokenserver\[postgresql\]'"):
        engine_for("postgresql://db/x")
