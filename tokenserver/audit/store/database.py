"""The file of a store: its tables, and how it is opened to be read or written.

Events lie in chunks, ordered by time, and in a chunk in compressed blocks. `terms` has, for each chunk, the positions
of the events that have a term, so a chunk is read without any other. All of a chunk is written in one transaction.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tokenserver.errors import Fault, LoadError

APPLICATION = 0x746B6175
VERSION = 2
"""Since 2, what a report says was used is among the terms."""

BLOCK_EVENTS = 32
"""The events of a block, which are compressed together."""

_TABLES = """
CREATE TABLE about (key BLOB NOT NULL);
CREATE TABLE chunks (
  id INTEGER PRIMARY KEY, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  times BLOB NOT NULL, keys BLOB NOT NULL, requests BLOB NOT NULL
);
CREATE TABLE blocks (
  chunk INTEGER NOT NULL, block INTEGER NOT NULL, events BLOB NOT NULL, PRIMARY KEY (chunk, block)
) WITHOUT ROWID;
CREATE TABLE terms (
  chunk INTEGER NOT NULL, term BLOB NOT NULL, positions BLOB NOT NULL, PRIMARY KEY (chunk, term)
) WITHOUT ROWID;
CREATE TABLE sources (head BLOB PRIMARY KEY, length INTEGER NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID
"""


@contextmanager
def open_store(path: Path) -> Iterator[sqlite3.Connection]:
    """An existing store, to be read.

    Raises:
        LoadError: there is none, it is none, or it is damaged; also while the block reads from it.
    """
    if not path.is_file():
        raise LoadError([Fault(str(path), 0, "", f"is no store; fix: tokenserver audit index FILES --into {path}")])
    with faults_of(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        _require_store(path, connection)
        yield connection


@contextmanager
def writable_store(path: Path) -> Iterator[sqlite3.Connection]:
    """A store to be written, which is made if it is missing; only its owner can read it.

    Raises:
        LoadError: it is something else, or cannot be written; also while the block writes.
    """
    with faults_of(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with transaction(connection):
                if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    _create(connection)
            _require_store(path, connection)
            yield connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; another writer waits."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Errors of the file, as faults with its name."""
    try:
        yield
    except sqlite3.Error as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be used as a store: {error}")]) from error
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be opened: {error.strerror}")]) from error


def _create(connection: sqlite3.Connection) -> None:
    for table in _TABLES.split(";"):
        connection.execute(table)
    # Digests of events are keyed, so that nobody can write an event that is taken for another one.
    connection.execute("INSERT INTO about VALUES (?)", (secrets.token_bytes(32),))
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _require_store(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise LoadError([Fault(str(path), 0, "", "is a database of something else; fix: name another file")])
    if version != VERSION:
        message = f"is a store of version {version}, and this is for {VERSION}; fix: index the files into a new one"
        raise LoadError([Fault(str(path), 0, "", message)])
