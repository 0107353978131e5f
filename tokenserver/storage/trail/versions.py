"""The versions that servers have had in force: the last digests of policies, users, keys and configuration of each.

A row says what was in force at a moment, so that the event of the next start says what is different. It has a seal of a
state key, as rows about chains.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import Connection, select

from tokenserver.storage.connections.upsert import put
from tokenserver.storage.database import Database
from tokenserver.storage.people.row_seals import RowSeals
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import audit_versions
from tokenserver.storage.trail.chains import require_tables


class VersionRow(NamedTuple):
    """One row of the table: the digest of a subject that came into force at a server at `moment`, in milliseconds since
    the epoch. `subject` is a `subject_key`.
    """

    server: str
    subject: str
    digest: str
    moment: int
    pepper: int = 0
    seal: bytes = b""


def subject_key(subject: str) -> str:
    """What a subject, whose name may be any path, is called in the table."""
    return hashlib.sha256(subject.encode("utf-8", "surrogateescape")).hexdigest()


class VersionRegister:
    """The versions in databases with these state keys."""

    def __init__(self, keys: StateKeys) -> None:
        self._seals = RowSeals(keys, purpose="audit version", columns=("server", "subject", "digest", "moment"))

    def put(self, database: Database, row: VersionRow) -> None:
        """Record a version, unless a later one is there: workers of a server may write in any order.

        Raises:
            StorageUnavailable: nothing was recorded.
        """

        def work(connection: Connection) -> None:
            require_tables(connection)
            pepper, seal = self._seals.of(row)
            values = row._replace(pepper=pepper, seal=seal)._asdict()
            put(connection, audit_versions, values, replaces=audit_versions.c.moment <= row.moment)

        database.note(work)

    def of_server(self, database: Database, server: str) -> dict[str, VersionRow]:
        """The versions of a server, by subject; those that somebody else has written are not there.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        statement = select(audit_versions).where(audit_versions.c.server == server)

        def work(connection: Connection) -> list[VersionRow]:
            require_tables(connection)
            return [VersionRow(*row) for row in connection.execute(statement)]

        return {row.subject: row for row in database.read(work) if self._seals.is_genuine(row)}
