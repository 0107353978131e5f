"""Engines: SQLite in a file, PostgreSQL by URL, each with its limits of time and its guarantees.

What is committed is on disk. Nothing waits longer than `SECONDS` for the database.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from tokenserver.errors import TokenserverError
from tokenserver.storage.connections.limits import SECONDS

READS = "sqlite_reads"
"""The execution option of transactions that only read."""


class UnusableStorage(TokenserverError):
    """The storage of the configuration cannot be opened as written. The text says why, and how to fix it."""


def engine_for(place: Path | str, *, password: str | None = None) -> Engine:
    """The engine of a storage: the path of a file, or `postgresql://…`. Nothing is connected yet.

    A file has to exist; see `files.make_file`.

    Raises:
        UnusableStorage: the URL is none, or the driver of PostgreSQL is not installed.
    """
    if isinstance(place, Path):
        return _sqlite(place)
    try:
        from tokenserver.storage.connections.postgresql import postgresql_engine  # noqa: PLC0415 - its driver is optional
    except ModuleNotFoundError as error:
        message = "needs the driver of PostgreSQL; fix: pip install 'tokenserver[postgresql]'"
        raise UnusableStorage(message) from error
    try:
        return postgresql_engine(place, password=password)
    except ValueError as error:
        raise UnusableStorage("is neither a path nor a URL such as postgresql://tokenserver@db/tokenserver") from error


def _sqlite(path: Path) -> Engine:
    # A connection for each use: opening one takes 0.1 ms, and none stays open in a process that forks.
    engine = create_engine(
        # Not made where it is missing: that would be an empty database that others can read.
        URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query={"mode": "rw", "uri": "true"}),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": SECONDS, "check_same_thread": False},
    )

    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # One text that is not UTF-8 would make all rows unreadable that are read with it; so it is a row without its seal.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    connection.isolation_level = None  # transactions are begun by `_begin_immediate`
    for pragma in (f"busy_timeout={SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    """Begin as a writer: a transaction that reads first could not become one while another one writes."""
    is_reading = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
