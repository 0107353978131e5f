"""Engines: SQLite in a file, PostgreSQL by URL, each with its limits of time and its guarantees.

What is committed is on disk. Nothing waits longer than `SECONDS` for the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from tokenserver.errors import TokenserverError

SECONDS = 2
"""Limit for connecting, for a statement, and for waiting for another writer."""

POSTGRESQL = "postgresql"
_DRIVER = "postgresql+psycopg"
_POOL = 2
_MORE = 6
_LIMITS = f"-c statement_timeout={SECONDS}s -c lock_timeout={SECONDS}s -c idle_in_transaction_session_timeout=10s"
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


class UnusableStorage(TokenserverError):
    """The storage of the configuration cannot be opened as written. The text says why, and how to fix it."""


def engine_for(place: str, folder: Path, *, password: str | None = None) -> Engine:
    """The engine of a storage: a path (relative to `folder`) or `postgresql://…`. Nothing is connected yet.

    `password` takes the place of the one in the URL.

    Raises:
        UnusableStorage: the URL is none, or the driver of PostgreSQL is not installed.
    """
    if "://" not in place:
        return _sqlite(folder / place)
    try:
        url = make_url(place)
    except ArgumentError as error:
        raise UnusableStorage("is neither a path nor a URL such as postgresql://tokenserver@db/tokenserver") from error
    if url.get_backend_name() != POSTGRESQL:
        raise UnusableStorage("names another engine; fix: use a path (SQLite) or postgresql://…")
    return _postgresql(url if password is None else url.set(password=password))


def _sqlite(path: Path) -> Engine:
    # A connection for each use: opening one takes 0.1 ms, and none stays open in a process that forks.
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_immediate`
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={SECONDS * 1000}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    """Begin as a writer: a transaction that reads first could not become one while another one writes."""
    is_reading = connection.get_execution_options().get("sqlite_reads", False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Engine:
    options: Mapping[str, object] = {
        "connect_timeout": SECONDS,
        "options": _LIMITS,
        "application_name": "tokenserver",
        **({} if "sslmode" in url.query or (url.host or "") in _LOOPBACK else {"sslmode": "verify-full"}),
    }
    try:
        return create_engine(
            url.set(drivername=_DRIVER),
            pool_size=_POOL,
            max_overflow=_MORE,
            pool_timeout=SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=dict(options),
        )
    except ModuleNotFoundError as error:
        message = "needs the driver of PostgreSQL; fix: pip install 'tokenserver[postgresql]'"
        raise UnusableStorage(message) from error
