"""Group commit: one thread of each process writes, and changes that wait for it share one transaction.

A commit waits for the disk, a change hardly does. Each change has a savepoint, so that one that fails undoes nothing of
the others. The thread starts with the first change, and ends when there has been none for a while.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from tokenserver.storage.connections.failures import StorageUnavailable, unavailable
from tokenserver.storage.connections.limits import ending_within

T = TypeVar("T")

MAX_TOGETHER = 100
"""Changes of one transaction; more would keep the first ones waiting."""

IDLE_SECONDS = 2.0
"""After this long without a change, the thread ends and closes its connection."""


class Change(Generic[T]):
    """One change that waits, or its outcome. `begins` says that the thread has taken it."""

    def __init__(self, work: Callable[[Connection, int], T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def settle(self, result: T | None, error: BaseException | None) -> None:
        """Give the outcome to the thread that waits for it."""
        self.result, self.error = result, error
        self.done.set()


class GroupCommit:
    """The writing thread of a database. Safe for concurrent use, and in processes that are forked from this one.

    `next_revision` is called first in each transaction. Nothing waits longer than `seconds` for its turn.
    """

    def __init__(self, engine: Engine, next_revision: Callable[[Connection], int], *, seconds: float) -> None:
        self._engine = engine
        self._next_revision = next_revision
        self._seconds = seconds
        self._thread: threading.Thread | None
        self._begin()
        here = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _after_fork(here))

    def run(self, work: Callable[[Connection, int], T]) -> T:
        """What `work` returns, once its changes are on disk. `work` runs again if the change before it broke off.

        Raises:
            StorageUnavailable: nothing was changed; or, if the connection broke during the commit, nobody can tell.
        """
        change = Change(work)
        with self._lock:
            self._waiting.append(change)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="storage writer", daemon=True)
                self._thread.start()
            self._has_work.notify()
        if not change.done.wait(self._seconds) and self._withdraw(change):
            raise StorageUnavailable("other changes take too long; try again")
        change.done.wait()  # it has been begun, and each of its statements is limited
        if change.error is not None:
            raise change.error
        return cast("T", change.result)

    def close(self) -> None:
        """End the thread once all changes that wait have been made, at most after `seconds`."""
        with self._lock:
            self._is_closing = True
            self._has_work.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._seconds)
        with self._lock:
            self._is_closing = False

    def forget_the_parent(self) -> None:
        """Go on without the thread, the locks and the connections of the process that this one was forked from."""
        self._engine.dispose(close=False)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._has_work = threading.Condition(self._lock)
        self._waiting: deque[Change[Any]] = deque()
        self._thread = None
        self._is_closing = False

    def _withdraw(self, change: Change[Any]) -> bool:
        """Take a change back that has not been begun; whether that was so."""
        with self._lock:
            if change in self._waiting:
                self._waiting.remove(change)
                return True
        return False

    def _write(self) -> None:
        """The thread: transactions as long as there is work."""
        connection: Connection | None = None
        while batch := self._next_batch():
            connection = self._transact(connection, batch)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> list[Change[Any]]:
        """The changes that wait now; none: the thread ends."""
        end = time.monotonic() + IDLE_SECONDS
        with self._lock:
            while not self._waiting:
                left = end - time.monotonic()
                if self._is_closing or left <= 0:
                    self._thread = None
                    return []
                self._has_work.wait(left)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_TOGETHER))]

    def _transact(self, connection: Connection | None, batch: list[Change[Any]]) -> Connection | None:
        """Make the changes in one transaction; the connection for the next one, None if it is no more use."""
        is_committing = False
        try:
            with ending_within(self._seconds):
                connection = connection or self._engine.connect()
                with connection.begin() as transaction:
                    rev = self._next_revision(connection)
                    outcomes = [_attempt(connection, change, rev) for change in batch]
                    is_committing = True
                    transaction.commit()
        except BaseException as error:
            _discard(connection)
            if len(batch) > 1 and not is_committing:
                # Something broke the whole transaction; each change gets one of its own.
                rest: Connection | None = None
                for change in batch:
                    rest = self._transact(rest, [change])
                return rest
            why = unavailable(error) if isinstance(error, SQLAlchemyError) else error
            for change in batch:
                change.settle(None, why)
            return None
        for change, (result, problem) in zip(batch, outcomes, strict=True):
            change.settle(result, problem)
        return connection


def _attempt(connection: Connection, change: Change[Any], rev: int) -> tuple[Any, BaseException | None]:
    """The result of a change, or its error, after which nothing of it is left."""
    try:
        with connection.begin_nested():
            return change.work(connection, rev), None
    except SQLAlchemyError as error:
        if not _is_intact(connection):
            raise
        return None, unavailable(error)
    except Exception as error:  # whatever the work raises is its caller's
        return None, error


def _is_intact(connection: Connection) -> bool:
    """Whether the transaction goes on after an error; some, such as that of a full disk, roll all of it back."""
    driver = None if connection.invalidated else connection.connection.dbapi_connection
    return driver is not None and bool(getattr(driver, "in_transaction", True))  # sqlite3 says, psycopg keeps it


def _discard(connection: Connection | None) -> None:
    if connection is not None:
        try:
            connection.close()
        except SQLAlchemyError:
            connection.invalidate()


def _after_fork(here: weakref.ref[GroupCommit]) -> None:
    group = here()
    if group is not None:
        group.forget_the_parent()
