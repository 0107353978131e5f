"""Signals of changes in a file of SQLite; e2e/test_storage_coherence.py has those of a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from followed_storage import Site
from sqlalchemy import create_engine
from stored_credentials import PLAIN

from tokenserver.storage.following.signals import Change, PostgresqlSignal, SqliteSignal
from tokenserver.storage.unavailable import StorageUnavailable

STOP = threading.Event()


def test_a_commit_of_somebody_else_is_seen_once(site: Site) -> None:
    """The first look is one, as nobody knows what was before."""
    signal = SqliteSignal(site.file, seconds=0.0)
    assert [signal.wait(STOP) for _ in range(2)] == [Change.SOME, Change.NONE]
    site.make(PLAIN)
    site.make(PLAIN)
    assert [signal.wait(STOP) for _ in range(2)] == [Change.SOME, Change.NONE]
    signal.close()


def test_another_file_is_another_database(site: Site, tmp_path: Path) -> None:
    """Whatever its data version is."""
    signal = SqliteSignal(site.file, seconds=0.0)
    signal.wait(STOP)
    site.database.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes(site.file.read_bytes())
    copy.replace(site.file)
    assert [signal.wait(STOP) for _ in range(2)] == [Change.ALL, Change.NONE]
    signal.close()


@pytest.mark.parametrize("fault", ["missing", "no database"])
def test_a_file_that_cannot_be_read(site: Site, fault: str) -> None:
    """It is not made anew, and is found once it is there."""
    signal = SqliteSignal(site.file, seconds=0.0)
    away = site.file.with_suffix(".away")
    site.file.rename(away)
    if fault == "no database":
        site.file.write_text("this is text, and long enough for a header of a database " * 10)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            signal.wait(STOP)
    assert site.file.exists() == (fault == "no database")
    away.replace(site.file)
    assert signal.wait(STOP) in (Change.SOME, Change.ALL)
    signal.close()


def test_it_waits_between_looks_and_not_before_the_first(site: Site) -> None:
    """And ends its wait when it is to stop."""
    signal, stop = SqliteSignal(site.file, seconds=30.0), threading.Event()
    begin = time.monotonic()
    signal.wait(stop)
    threading.Timer(0.1, stop.set).start()
    signal.wait(stop)
    assert time.monotonic() - begin < 20
    signal.close()


def test_a_postgresql_that_does_not_answer() -> None:
    """The error is that of every storage; closing what was never opened is nothing."""
    engine = create_engine("postgresql+psycopg://x@127.0.0.1:1/x", connect_args={"connect_timeout": 1})
    signal = PostgresqlSignal(engine)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            signal.wait(STOP)
    signal.close()
    engine.dispose()
