"""The chains of audit events that servers have written, each with the last number that was sealed.

A row says that lines existed, and nothing else. It has a seal of a state key, so that who can write to the database can
remove a row, and invent none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, select, update

from tokenserver.storage.connections.upsert import put
from tokenserver.storage.database import Database
from tokenserver.storage.people.row_seals import RowSeals
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import audit_chains, meta
from tokenserver.storage.unavailable import StorageUnavailable

SCHEMA_WITH_CHAINS = 4
"""The version of the schema that has the table."""

MAX_BEFORE = 64
"""Chains that one seal states of those before it; a later one states the rest."""

OLD_TABLES = "its tables are too old for what it keeps about audit events; fix: tokenserver storage migrate"

_SEALED = ("chain", "server", "began", "number", "sealed", "closed")


class ChainRow(NamedTuple):
    """One row of the table. Times are in milliseconds since the epoch, as seals have them: `began` is that of the first
    seal, `sealed` that of the last.

    `number` is that of the line of the last seal, `closed` 1 if that closes the chain. `stated` is the last number that
    a seal of another chain has stated; it decides only whether one more states it, so no seal covers it.
    """

    chain: str
    server: str
    began: int
    number: int
    sealed: int
    closed: int
    stated: int = 0
    pepper: int = 0
    seal: bytes = b""


class KnownChains(NamedTuple):
    """All rows that are genuine; of the others, how many have a state key that is not known here, or a wrong seal."""

    rows: Sequence[ChainRow]
    of_unknown_keys: int
    forged: int


class ChainRegister:
    """The chains in databases with these state keys."""

    def __init__(self, keys: StateKeys) -> None:
        self._keys = keys
        self._seals = RowSeals(keys, purpose="audit chain", columns=_SEALED)

    def put(self, database: Database, row: ChainRow) -> None:
        """Record how far a chain is sealed; only the process that writes the chain does this.

        Raises:
            StorageUnavailable: nothing was recorded.
        """

        def work(connection: Connection) -> None:
            require_tables(connection)
            pepper, seal = self._seals.of(row)
            values = row._replace(pepper=pepper, seal=seal)._asdict()
            put(connection, audit_chains, values, replaces=audit_chains.c.number <= row.number, kept=("stated",))

        database.note(work)

    def before(self, database: Database, server: str) -> list[ChainRow]:
        """Chains of a server that went on since another one stated them, the newest first, at most `MAX_BEFORE`.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        table = audit_chains.c
        unstated = and_(table.server == server, table.number > table.stated)
        statement = select(audit_chains).where(unstated).order_by(table.sealed.desc(), table.chain).limit(MAX_BEFORE)
        return [row for row in _rows(database, statement) if self._seals.is_genuine(row)]

    def note_stated(self, database: Database, numbers: Iterable[tuple[str, int]]) -> None:
        """Record that a seal has stated these numbers of these chains.

        Raises:
            StorageUnavailable: nothing was recorded; another seal will state them.
        """
        table = audit_chains.c

        def work(connection: Connection) -> None:
            for chain, number in numbers:
                behind = and_(table.chain == chain, table.stated < number)
                connection.execute(update(audit_chains).where(behind).values(stated=number))

        database.note(work)

    def known(self, database: Database) -> KnownChains:
        """All chains.

        Raises:
            StorageUnavailable: the database does not answer, or does not have the table.
        """
        rows = _rows(database, select(audit_chains))
        genuine = [row for row in rows if self._seals.is_genuine(row)]
        unknown = sum(row.pepper not in self._keys.by_number for row in rows)
        return KnownChains(genuine, unknown, len(rows) - len(genuine) - unknown)


def _rows(database: Database, statement: Select[Any]) -> list[ChainRow]:
    def work(connection: Connection) -> list[ChainRow]:
        require_tables(connection)
        return [ChainRow(*row) for row in connection.execute(statement)]

    return database.read(work)


def has_chains(connection: Connection) -> bool:
    """Whether the database has the tables of this room: another release may have to migrate it first."""
    return int(connection.execute(select(meta.c.schema)).scalar_one()) >= SCHEMA_WITH_CHAINS


def require_tables(connection: Connection) -> None:
    """Check that the database has the tables of this room.

    Raises:
        StorageUnavailable: it has not; the reason says how to make them.
    """
    if not has_chains(connection):
        raise StorageUnavailable(OLD_TABLES)
