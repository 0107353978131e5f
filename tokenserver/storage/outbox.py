"""The outbox: audit events of changes that were made without a server, in the transaction of the change.

A server takes them out and writes them to its audit trail, each at least once. A row that has no seal of a state key
was not written by a command of this server; it is taken out, too, and reported as what it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import Connection, LargeBinary, cast, delete, select

from tokenserver.errors import AuditUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.people.row_seals import RowSeals
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import outbox

AT_A_TIME = 100
"""Events of one transaction, so that no change waits long."""


class OutboxRow(NamedTuple):
    """One row of the table. `event` is JSON; it holds the id and the moment, so that a copied row is recognised."""

    id: str
    event: str
    pepper: int
    seal: bytes
    rev: int


class Outbox:
    """The outbox of databases with these state keys."""

    def __init__(self, keys: StateKeys) -> None:
        self._seals = RowSeals(keys, purpose="outbox", columns=("id", "event"))
        self._numbers = count()

    def put(self, connection: Connection, rev: int, event: dict[str, Any]) -> None:
        """Leave an event, in the transaction of what it is about. It is written with its `change_id`."""
        identifier = f"{next(self._numbers):08x}{secrets.token_hex(8)}"  # in the order of one transaction
        text = json.dumps({**event, "change_id": identifier})
        pepper, seal = self._seals.of(OutboxRow(identifier, text, 0, b"", rev))
        connection.execute(outbox.insert(), OutboxRow(identifier, text, pepper, seal, rev)._asdict())

    def has_any(self, database: Database) -> bool:
        """Whether events wait.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        statement = select(outbox.c.id).limit(1)
        return database.read(lambda connection: connection.execute(statement).first() is not None)

    def take(self, database: Database, write: Callable[[dict[str, Any]], None], refuse: Callable[[str], None]) -> int:
        """Write the oldest events and remove them; how many. Of several processes, one has each.

        `refuse` is called with the id of a row that is not genuine. An event is written again if the process dies, or
        the database breaks off, before it is removed.

        Raises:
            AuditUnavailable: the rest is still there.
            StorageUnavailable: the database does not answer.
        """
        failed: list[AuditUnavailable] = []

        def work(connection: Connection) -> int:
            # One process at a time: SQLite has one writer anyway, PostgreSQL skips what another one has locked.
            rows = connection.execute(
                select(outbox).order_by(outbox.c.rev, outbox.c.id).limit(AT_A_TIME).with_for_update(skip_locked=True)
            ).all()
            done = []
            for row in (OutboxRow(*one) for one in rows):
                try:
                    if self._seals.is_genuine(row):
                        write(json.loads(row.event))
                    else:
                        refuse(_spelled(row.id))
                except AuditUnavailable as error:
                    failed.append(error)
                    break
                done.append(row.id)
            _remove(connection, done)
            return len(done)

        taken = database.note(work)
        if failed:
            raise failed[0]
        return taken


def _spelled(identifier: object) -> str:
    """The id of a row that another program may have written, for which SQLite takes a value of any type."""
    return identifier.hex() if isinstance(identifier, bytes) else str(identifier)


def _remove(connection: Connection, identifiers: Sequence[str | bytes]) -> None:
    usual = [one for one in identifiers if isinstance(one, str) and one.isascii()]
    connection.execute(delete(outbox).where(outbox.c.id.in_(usual)))
    for one in identifiers:
        if isinstance(one, bytes) or not one.isascii():
            # Text that is not UTF-8 could not be sent back as text, and bytes are never equal to a text.
            content = one if isinstance(one, bytes) else one.encode("utf-8", "surrogateescape")
            connection.execute(delete(outbox).where(cast(outbox.c.id, LargeBinary) == content))


def waiting(connection: Connection) -> list[OutboxRow]:
    """All rows, so that they can be put into another database."""
    return [OutboxRow(*row) for row in connection.execute(select(outbox).order_by(outbox.c.rev, outbox.c.id))]


def replace_waiting(connection: Connection, rev: int, rows: Sequence[OutboxRow]) -> None:
    """Have these rows, and no others: in their order, before what is put at `rev`."""
    connection.execute(delete(outbox))
    for number, row in enumerate(rows, rev - len(rows)):
        connection.execute(outbox.insert(), row._replace(rev=number)._asdict())
