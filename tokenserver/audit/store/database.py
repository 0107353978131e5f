"""The file of a store: its tables, and how it is opened to be read or written.

Events lie in chunks, ordered by time, and in a chunk in compressed blocks. `terms` has, for each chunk, the positions
of the events that have a term, so a chunk is read without any other. All of a chunk is written in one transaction.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tokenserver.documents.permissions import IRREGULAR, file_problem
from tokenserver.errors import Fault, LoadError, TokenserverError
from tokenserver.printable import shell_word

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

_BESIDE = ("", "-wal", "-shm")
"""The names of the files of a database, behind its path."""


class DamagedStore(TokenserverError):
    """What is in a store is not what was written to it."""


@contextmanager
def open_store(path: Path) -> Iterator[sqlite3.Connection]:
    """An existing store, to be read.

    Raises:
        LoadError: there is none, it is none, it is damaged, or others can change it; also while the block reads it.
    """
    if not path.is_file():
        raise LoadError([Fault(str(path), 0, "", f"is no store; fix: tokenserver audit index FILES --into {path}")])
    _require_unchangeable(path)
    with faults_of(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        _require_store(path, connection)
        yield connection


@contextmanager
def writable_store(path: Path) -> Iterator[sqlite3.Connection]:
    """A store to be written, which is made if it is missing; only its owner can read it.

    Raises:
        LoadError: it is something else, is not its owner's alone, or cannot be written; also while the block writes.
    """
    with faults_of(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600))
        _require_own(path, _BESIDE[1:])
        if not path.is_file():
            raise LoadError([Fault(str(path), 0, "", IRREGULAR)])
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            if not _is_empty(connection):
                _require_store(path, connection)  # before anything is changed in it
            _require_own(path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with transaction(connection):
                if _is_empty(connection):
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
    except DamagedStore as error:
        raise LoadError([Fault(str(path), 0, "", "is damaged; fix: index the files into a new one")]) from error
    except sqlite3.Error as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be used as a store: {error}")]) from error
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be opened: {error.strerror}")]) from error


@contextmanager
def reading() -> Iterator[None]:
    """Whatever cannot be read in the block is damage of the store, which anybody may have changed who can write it.

    Raises:
        DamagedStore: a value has another type, length or order than it was written with.
    """
    try:
        yield
    except (ValueError, TypeError, IndexError, OverflowError, zlib.error, struct.error) as error:
        raise DamagedStore("what is in the store was not written so") from error


def _require_unchangeable(path: Path) -> None:
    """Check that a store which somebody else may have made cannot be changed by everybody.

    Raises:
        LoadError: it can.
    """
    for one, status in _files(path):
        mode = status.st_mode & 0o7777
        if mode & 0o002:
            message = f"can be changed by others (mode {mode:04o}); fix: chmod o-w {shell_word(one)}"
            raise LoadError([Fault(str(one), 0, "", message)])


def _require_own(path: Path, suffixes: Sequence[str] = _BESIDE) -> None:
    """Check that nobody else can read or change any file of a store.

    Raises:
        LoadError: somebody can.
    """
    for one, status in _files(path, suffixes):
        problem = file_problem(status, one, private=True, place=one)
        if problem is not None:
            raise LoadError([Fault(str(one), 0, "", problem)])


def _files(path: Path, suffixes: Sequence[str] = _BESIDE) -> Iterator[tuple[Path, os.stat_result]]:
    for one in (path.with_name(path.name + suffix) for suffix in suffixes):
        with suppress(FileNotFoundError):
            yield one, one.stat()


def _is_empty(connection: sqlite3.Connection) -> bool:
    with reading():
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _create(connection: sqlite3.Connection) -> None:
    for table in _TABLES.split(";"):
        connection.execute(table)
    # Digests of events are keyed, so that nobody can write an event that is taken for another one.
    connection.execute("INSERT INTO about VALUES (?)", (secrets.token_bytes(32),))
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _require_store(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise LoadError([Fault(str(path), 0, "", "is a database of something else; fix: name another file")])
    if version != VERSION:
        message = f"is a store of version {version}, and this is for {VERSION}; fix: index the files into a new one"
        raise LoadError([Fault(str(path), 0, "", message)])
    with reading():
        made = {
            " ".join(sql.split()) for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
        }
    if made != {" ".join(table.split()) for table in _TABLES.split(";")}:
        raise DamagedStore("it has other tables")
