"""The database: transactions, each as a whole or not at all, and what its errors mean to the rest of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from tokenserver.storage.tables import meta, metadata, revision
from tokenserver.storage.unavailable import STORAGE, StorageUnavailable

__all__ = ["STORAGE", "Database", "StorageUnavailable"]

T = TypeVar("T")


class Database:
    """Reads and writes by short transactions. Safe for concurrent use by threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads in one transaction.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        try:
            with self.engine.connect().execution_options(sqlite_reads=True) as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise StorageUnavailable(reason_of(error)) from error

    def write(self, work: Callable[[Connection, int], T]) -> T:
        """What `work` returns, once its changes are on disk. It gets the revision that its rows must carry.

        Nothing is changed if `work` raises.

        Raises:
            StorageUnavailable: the database does not answer, or has no room.
        """
        try:
            with self.engine.begin() as connection:
                return work(connection, _next_revision(connection))
        except SQLAlchemyError as error:
            raise StorageUnavailable(reason_of(error)) from error

    def note(self, work: Callable[[Connection], T]) -> T:
        """As `write`, for what no reader follows: it has no revision, and waits for no other writer of one.

        Raises:
            StorageUnavailable: the database does not answer, or has no room.
        """
        try:
            with self.engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise StorageUnavailable(reason_of(error)) from error

    def create(self, *, server: str, now: int, schema: int) -> None:
        """Make the tables in an empty database. `server` is its public URL, for people who find the file."""
        try:
            with self.engine.begin() as connection:
                metadata.create_all(connection)
                connection.execute(meta.insert().values(one=1, schema=schema, server=server, created=now))
                connection.execute(revision.insert().values(one=1, rev=0))
        except SQLAlchemyError as error:
            raise StorageUnavailable(reason_of(error)) from error

    def revision(self) -> int:
        """The revision of the last change.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self.read(lambda connection: int(connection.execute(select(revision.c.rev)).scalar_one()))


def _next_revision(connection: Connection) -> int:
    """First in every change: writers wait for this row, so that revisions commit in their order."""
    return int(
        connection.execute(update(revision).values(rev=revision.c.rev + 1).returning(revision.c.rev)).scalar_one()
    )


def reason_of(error: Exception) -> str:
    """The error's class and first line; the parameters of statements are hidden by the engine."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
