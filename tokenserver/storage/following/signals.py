"""Signals that the database has changed: from SQLite by its data version, from PostgreSQL by `NOTIFY` or a poll."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from tokenserver.storage.connections.failures import unavailable
from tokenserver.storage.database import CHANNEL

SQLITE_SECONDS = 0.5
POSTGRESQL_SECONDS = 1.0
"""Seconds between two looks, whether or not there was a notification: it is lost with its connection."""

_STEP_SECONDS = 0.25
_TOGETHER_SECONDS = 0.01
_BUSY_SECONDS = 2


class StorageChange(Enum):
    """What a signal says: nothing has changed, something may have, or this is another database than before."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


class ChangeSignal(Protocol):
    """Waits for changes of one database, on a connection of its own. Used by one thread."""

    def wait(self, stop: threading.Event) -> StorageChange:
        """Wait until there may be a change, until it is time for a look, or until `stop` is set.

        Raises:
            StorageUnavailable: the database does not answer; the next call connects again.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class SqliteSignal:
    """The data version of a file, which every commit of another connection changes. A look takes two microseconds."""

    def __init__(self, path: Path, *, seconds: float = SQLITE_SECONDS) -> None:
        self._path = path
        self._seconds = seconds
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version: int | None = None

    def wait(self, stop: threading.Event) -> StorageChange:
        """See `ChangeSignal.wait`."""
        stop.wait(0.0 if self._connection is None else self._seconds)
        try:
            return self._look()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise unavailable(error) from error

    def close(self) -> None:
        """See `ChangeSignal.close`."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _look(self) -> StorageChange:
        status = self._path.stat()
        file, before = (status.st_dev, status.st_ino), self._file
        if file != before:
            self.close()  # another file has taken its place, such as a backup
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._version = None
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        changed, self._version, self._file = version != self._version, version, file
        if before is not None and file != before:
            return StorageChange.ALL
        return StorageChange.SOME if changed else StorageChange.NONE


class PostgresqlSignal:
    """Notifications on `CHANNEL`, which arrive with the commit, and a look every `seconds`."""

    def __init__(self, engine: Engine, *, seconds: float = POSTGRESQL_SECONDS) -> None:
        self._engine = engine
        self._seconds = seconds
        self._connection: Connection | None = None
        self._errors = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)

    def wait(self, stop: threading.Event) -> StorageChange:
        """See `ChangeSignal.wait`."""
        if self._connection is not None:
            try:
                self._notified(self._connection, stop)
            except self._errors:
                self.close()  # perhaps only this connection has ended
        try:
            self._connection = self._connection or self._listening()
        except self._errors as error:
            raise unavailable(error) from error
        return StorageChange.SOME

    def close(self) -> None:
        """See `ChangeSignal.close`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._errors):  # it may be broken
                driver: Any = connection.connection.dbapi_connection
                driver.close()  # `invalidate` only drops a connection that is not part of the pool
            with suppress(*self._errors):
                connection.invalidate()
                connection.close()

    def _notified(self, connection: Connection, stop: threading.Event) -> None:
        """Wait for a notification, at most until it is time for a look."""
        driver: Any = connection.connection.dbapi_connection
        waited = 0.0
        while waited < self._seconds and not stop.is_set():
            if list(driver.notifies(timeout=_STEP_SECONDS, stop_after=1)):
                stop.wait(_TOGETHER_SECONDS)
                list(driver.notifies(timeout=0))  # one look is enough for all of them
                return
            waited += _STEP_SECONDS

    def _listening(self) -> Connection:
        """A connection that is not part of the pool, and listens."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.detach()
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        except BaseException:
            connection.close()
            raise
        return connection
