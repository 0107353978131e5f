"""Who holds credentials: the owners of access keys and logins that can be used, with how many they have."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.credential import ACTIVE
from tokenserver.storage.database import Database
from tokenserver.storage.tables import browser_sessions, credentials

MAX_HOLDERS = 500
"""How many are listed; the others are found by their names."""


class Holder(NamedTuple):
    """Somebody's access keys and logins, by number. Those that ended for want of use are counted until they expire."""

    subject: str
    source: str
    keys: int
    logins: int


def holders(database: Database, *, now: int) -> list[Holder]:
    """The people and workloads that hold something, by name, up to `MAX_HOLDERS` of them.

    Raises:
        StorageUnavailable: the database does not answer.
    """
    keys: Counter[tuple[str, str]] = Counter()
    logins: Counter[tuple[str, str]] = Counter()

    def read(connection: Connection) -> None:
        table, browsers = credentials.c, browser_sessions.c
        live = (table.state == ACTIVE, table.ends > now, table.form != AccessKeyForm.ROBOT.value)
        stored = select(table.owner, table.source, table.form, func.count()).where(*live)
        for owner, source, form, count in connection.execute(stored.group_by(table.owner, table.source, table.form)):
            (keys if form == AccessKeyForm.PERSONAL else logins)[owner, source] += count
        sessions = select(browsers.subject, browsers.source, func.count())
        active = sessions.where(browsers.state == ACTIVE, browsers.ends > now)
        for subject, source, count in connection.execute(active.group_by(browsers.subject, browsers.source)):
            logins[subject, source] += count

    database.read(read)
    found = sorted(keys.keys() | logins.keys())[:MAX_HOLDERS]
    return [Holder(subject, source, keys[subject, source], logins[subject, source]) for subject, source in found]
