"""Removing rows that ended long ago. Nobody can use them any more; they are kept for a while to be looked at."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, or_, select

from tokenserver.storage.credential import ENDED
from tokenserver.storage.database import Database
from tokenserver.storage.tables import audit_chains, browser_sessions, credentials, epochs, flows, seen_jti
from tokenserver.storage.trail.chains import has_chains

KEPT_DAYS = 30
"""For how long a credential is listed after its end."""

CHAIN_DAYS = 400
"""For how long it is known after its last seal that a chain of audit events exists."""

_AT_A_TIME = 1000
"""Rows of one transaction, so that no change waits long."""

_DAY = 86_400


def prune(database: Database, *, now: float) -> dict[str, int]:
    """Remove what ended more than `KEPT_DAYS` ago, and logins in progress that came to nothing; rows by table.

    Raises:
        StorageUnavailable: the rest is still there.
    """
    before = int(now) - KEPT_DAYS * _DAY
    table = credentials.c
    ended = or_(and_(table.state == ENDED, table.ended < before), table.ends < before)
    return {
        "credentials": _remove(database, credentials, ended),
        "browser sessions": _remove(database, browser_sessions, browser_sessions.c.ends < before),
        "logins in progress": _remove(database, flows, flows.c.ends < int(now)),
        "ends of logins": _remove(database, epochs, epochs.c.made < before),
        "tokens seen": _remove(database, seen_jti, seen_jti.c.ends < int(now)),
        "chains of audit events": _remove_chains(database, int(now) - CHAIN_DAYS * _DAY),
    }


def _remove_chains(database: Database, before: int) -> int:
    return _remove(database, audit_chains, audit_chains.c.sealed < before * 1000) if database.read(has_chains) else 0


def _remove(database: Database, table: Table, ended: ColumnElement[bool]) -> int:
    key = list(table.primary_key)[-1]

    def some(connection: Connection) -> int:
        ids = list(connection.execute(select(key).where(ended).limit(_AT_A_TIME)).scalars())
        return connection.execute(delete(table).where(key.in_(ids), ended)).rowcount

    total = 0
    while removed := database.note(some):
        total += removed
    return total
