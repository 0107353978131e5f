"""Copies of SQLite databases, each as of one moment, made while servers run."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tokenserver.documents.files import create_file
from tokenserver.errors import Fault, LoadError
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.migrations.migrate import schema_of
from tokenserver.storage.tables import SCHEMA

_PAGES = 500
"""Pages that are copied before writers get a turn."""


def back_up(database: Path, target: Path) -> int:
    """Copy the database, as of one moment, into a new file that only its owner can read; its size in bytes.

    Raises:
        LoadError: the target exists or cannot be written, or the copy is damaged, as the database then is.
        StorageUnavailable: the database cannot be read.
    """
    _make(target)
    try:
        with closing(_reading(database)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy, pages=_PAGES)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
        _sync(target)
        problem = damage_of(target)
    except sqlite3.Error as error:
        _remove(target)
        raise StorageUnavailable(f"{type(error).__name__}: {error}") from error
    except OSError as error:
        _remove(target)
        raise _refused(target, f"cannot be written: {error.strerror}") from error
    if problem is not None:
        _remove(target)
        raise _refused(database, f"is damaged: {problem}; fix: restore an earlier backup")
    return target.stat().st_size


def require_backup(file: Path) -> None:
    """Check that a file is an undamaged storage of this version or an older one.

    Raises:
        LoadError: it is not.
    """
    problem = _why_no_backup(file)
    if problem is not None:
        raise _refused(file, problem)


def replace_content(database: Path, copy: Path) -> bool:
    """Put the content of a copy into the database, in one transaction. Servers may run, and see it.

    A database that is too damaged for that is moved aside, and the copy takes its place: false.

    Raises:
        StorageUnavailable: the database cannot be written; it is as before.
    """
    try:
        with closing(_reading(copy)) as source, closing(_writing(database)) as target:
            source.backup(target)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            raise StorageUnavailable(f"{type(error).__name__}: {error}") from error
        _move_aside(database)
        copy.replace(database)
        return False
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{type(error).__name__}: {error}") from error
    return True


def _move_aside(database: Path) -> None:
    """Keep a damaged database, with the files that belong to it, under another name."""
    name = f"{database.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for ending in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            database.with_name(database.name + ending).rename(database.with_name(name + ending))


def damage_of(file: Path) -> str | None:
    """What SQLite finds wrong in a file, its first finding; None if nothing.

    Raises:
        sqlite3.Error: it cannot even be looked at.
    """
    with closing(_reading(file)) as connection:
        found = [" ".join(str(row[0]).split()) for row in connection.execute("PRAGMA quick_check(1)")]
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if found != ["ok"]:
        return found[0] if found else "nothing can be read"
    return None if broken is None else f"a row of {broken[0]} belongs to none of {broken[2]}"


def _why_no_backup(file: Path) -> str | None:
    try:
        problem = damage_of(file)
        engine = create_engine("sqlite://", creator=lambda: _reading(file), poolclass=NullPool)
        schema = None if problem is not None else schema_of(engine)
    except (sqlite3.Error, StorageUnavailable) as error:
        return f"is no backup of a storage: {error}"
    if problem is not None:
        return f"is damaged: {problem}"
    if schema is None:
        return "is no backup of a storage: it has no tables of ours"
    return f"was made by a newer program (version {schema} of the tables)" if schema > SCHEMA else None


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2)


def _writing(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=2)


def _make(target: Path) -> None:
    try:
        create_file(target.absolute(), b"")
    except FileExistsError as error:
        raise _refused(target, "exists; a backup never overwrites a file; fix: name another one") from error
    except OSError as error:
        raise _refused(target, f"cannot be written: {error.strerror}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _refused(path: Path, message: str) -> LoadError:
    return LoadError([Fault(str(path), 0, "", message)])
