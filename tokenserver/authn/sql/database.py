"""A database of users: its queries in read-only transactions, within a deadline, and nothing shared with a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, Select

from tokenserver.authn.sql.columns import columns_problem
from tokenserver.authn.sql.failures import is_unspeakable, unavailable, unusable, value_problem
from tokenserver.authn.sql.row import Row, UnusableRow
from tokenserver.authn.sql.statements import bounded_rows, no_rows
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.tracing.spans import traced
from tokenserver.storage.connections.limits import ending_within


class UserDatabase:
    """The rows of a database, as `UserRows`. `find` is the query for a subject, `query` the one for a typed name.

    `make_engine` makes the engine, once in each process; `seconds` is the limit for everything that one login asks.
    """

    def __init__(self, name: str, make_engine: Callable[[], Engine], *, query: str, find: str, seconds: float) -> None:
        self._name = name
        self._query = query
        self._find = find
        self._seconds = seconds
        self._engines = _EngineOfProcess(make_engine)
        weakref.finalize(self, self._engines.close)  # once a reload has replaced this source
        self._statements: dict[str, Select[Any]] = {}

    def by_name(self, name: str) -> Sequence[Row]:
        """See `UserRows.by_name`."""
        return self._rows(self._query, name)

    def by_subject(self, subject: str) -> Sequence[Row]:
        """See `UserRows.by_subject`."""
        return self._rows(self._find, subject)

    def probe(self) -> None:
        """See `UserRows.probe`. The columns are read again, since the tables may have changed."""
        self._statements = {}
        for query in {self._query, self._find}:
            with suppress(UnusableRow):  # not every query takes this name
                self._rows(query, "-")

    @traced("sql query")
    def _rows(self, query: str, name: str) -> Sequence[Row]:
        """The first rows of the query for a name.

        Raises:
            UnusableRow: the query fails for this name and works for others.
            BackendUnavailable: the database does not answer, or the query does not fit its tables.
        """
        try:
            with ending_within(self._seconds, each=self._seconds), self._engines.get().connect() as connection:
                statement = self._statements.get(query)
                if statement is None:
                    statement = self._learn(connection, query, name)
                found = connection.execute(statement, {"user": name}).mappings().all()
        except BackendUnavailable:
            raise
        except Exception as error:  # a driver raises anything if an answer is malformed
            if is_unspeakable(error) and not name.isascii():
                return ()
            problem = value_problem(error)
            if problem is not None:
                raise UnusableRow(problem) from None
            self._statements = {}
            raise unavailable(self._name, error) from None  # its error may hold values
        return [{key: None if value is None else str(value) for key, value in row.items()} for row in found]

    def _learn(self, connection: Connection, query: str, name: str) -> Select[Any]:
        """The statement for the columns that a query returns now.

        Raises:
            BackendUnavailable: they are not those of a user.
        """
        columns = list(connection.execute(no_rows(query), {"user": name}).keys())
        problem = columns_problem(columns)
        if problem is not None:
            raise unusable(self._name, problem)
        statement = bounded_rows(query, columns, connection.dialect.name)
        self._statements = {**self._statements, query: statement}
        return statement


class _EngineOfProcess:
    """Makes the engine when it is first needed; one that was inherited by a fork is left alone."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[int, Engine] | None = None

    def get(self) -> Engine:
        """The engine of this process."""
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[1]
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                if self._made is not None:
                    self._made[1].dispose(close=False)
                self._made = (os.getpid(), self._make())
            return self._made[1]

    def close(self) -> None:
        """Close the connections of this process."""
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].dispose()
