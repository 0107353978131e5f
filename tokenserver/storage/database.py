"""The database: transactions, each as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy import Connection, Engine, Update, select, update
from sqlalchemy.exc import SQLAlchemyError

from tokenserver.storage.connections.failures import STORAGE, StorageUnavailable, unavailable
from tokenserver.storage.connections.group_commit import GroupCommit
from tokenserver.storage.connections.limits import SECONDS, ending_within
from tokenserver.storage.engines import READS
from tokenserver.storage.tables import revision

__all__ = ["STORAGE", "Connection", "Database", "StorageUnavailable"]

CHANNEL = "tokenserver"
"""The channel of PostgreSQL on which writers notify readers of a new revision."""

GENERATION = 1 << 32
"""Revisions of a generation. A restored database begins the next one, so that readers notice whatever they had read."""

T = TypeVar("T")


_shared: ContextVar[tuple[Database, Connection] | None] = ContextVar("shared", default=None)
"""What `Database.reading` has opened."""


class Database:
    """Reads and writes by short transactions. Safe for concurrent use by threads, and after a fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = GroupCommit(engine, _next_revision, seconds=SECONDS)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads in one transaction.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        database, connection = _shared.get() or (None, None)
        if connection is None or database is not self:
            with self.reading():
                return self.read(work)
        try:
            return work(connection)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """In this context, all that is read goes over one connection. For work that waits for nothing else.

        Raises:
            StorageUnavailable: as `read`.
        """
        try:
            with (
                ending_within(SECONDS),
                self.engine.connect().execution_options(**{READS: True}) as connection,
                connection.begin(),
            ):
                token = _shared.set((self, connection))
                try:
                    yield
                finally:
                    _shared.reset(token)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    def write(self, work: Callable[[Connection, int], T]) -> T:
        """What `work` returns, once its changes are on disk. It gets the revision that its rows must carry.

        Changes of several threads share a transaction, and a revision. Nothing is changed if `work` raises. `work` may
        run twice, so it must do nothing but use the connection; it runs in another thread.

        Raises:
            StorageUnavailable: the database does not answer, or has no room.
        """
        return self._writer.run(work)

    def note(self, work: Callable[[Connection], T]) -> T:
        """As `write`, for changes that no reader follows: the revision stays.

        Raises:
            StorageUnavailable: nothing was changed.
        """
        try:
            with ending_within(SECONDS), self.engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    def change_one(self, statement: Update, recorded: Callable[[], None]) -> bool:
        """Change one row by a statement, as `write`; whether there was such a row. If so, `recorded` is called in the
        transaction: what it raises undoes the change.

        Raises:
            StorageUnavailable: nothing was changed.
        """

        def work(connection: Connection, _: int) -> bool:
            is_changed = connection.execute(statement).rowcount == 1
            if is_changed:
                recorded()
            return is_changed

        return self.write(work)

    def revision(self) -> int:
        """The revision of the last change.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self.read(lambda connection: int(connection.execute(select(revision.c.rev)).scalar_one()))

    def guarded(self, check: Callable[[Connection], None]) -> GuardedDatabase:
        """The same database, where `check` is called first in each transaction that changes something.

        What it raises undoes the change; it must do nothing but use the connection.
        """
        return GuardedDatabase(self, check)

    def close(self) -> None:
        """Finish the changes that wait, and close all connections."""
        self._writer.close()
        self.engine.dispose()


class GuardedDatabase(Database):
    """See `Database.guarded`."""

    def __init__(self, database: Database, check: Callable[[Connection], None]) -> None:
        self.engine = database.engine
        self._database = database
        self._check = check

    def read(self, work: Callable[[Connection], T]) -> T:
        """As `Database.read`, without the check."""
        return self._database.read(work)

    def write(self, work: Callable[[Connection, int], T]) -> T:
        """As `Database.write`, after the check."""

        def checked(connection: Connection, rev: int) -> T:
            self._check(connection)
            return work(connection, rev)

        return self._database.write(checked)

    def note(self, work: Callable[[Connection], T]) -> T:
        """As `Database.note`, after the check."""

        def checked(connection: Connection) -> T:
            self._check(connection)
            return work(connection)

        return self._database.note(checked)

    def close(self) -> None:
        """As `Database.close`."""
        self._database.close()


def _next_revision(connection: Connection) -> int:
    """First in every change: writers wait for this row, so that revisions commit in their order.

    PostgreSQL notifies its readers with the commit.
    """
    statement = update(revision).values(rev=revision.c.rev + 1).returning(revision.c.rev)
    number = int(connection.execute(statement).scalar_one())
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
    return number
