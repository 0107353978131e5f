"""Last uses of credentials: noted in memory, and written by a thread once a minute, all of them in one transaction.

They are in a table of their own, so that no index has to follow. What was noted in the last minute is lost in a crash.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, case, exists, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from tokenserver.errors import BackendUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.tables import credentials, uses

EVERY = 60.0
"""Seconds between two writes."""

MAX_NOTED = 100_000
"""How many credentials' uses are kept while the storage does not answer."""


class NotedUse(NamedTuple):
    """The last use of a credential, in seconds since the epoch, and the client's address."""

    now: float
    client: IPv4Address | IPv6Address | None


def write_uses(database: Database, noted: Mapping[str, NotedUse]) -> None:
    """Write last uses; later ones that are stored already stay, and credentials that are gone are skipped.

    Raises:
        StorageUnavailable: none was written.
    """
    if not noted:
        return
    insert = postgresql.insert(uses) if database.engine.dialect.name == "postgresql" else sqlite.insert(uses)
    identifier, client = bindparam("used_id", type_=Text), bindparam("by", type_=Text)
    last = bindparam("used", type_=BigInteger)
    row = select(identifier, last, client, client, literal(1, BigInteger)).where(
        exists().where(credentials.c.id == identifier)
    )
    new: Any = insert.from_select(["id", "last", "last_from", "first_from", "times"], row)
    is_later = new.excluded.last >= uses.c.last
    values = {
        "last": case((is_later, new.excluded.last), else_=uses.c.last),
        "last_from": case((is_later, new.excluded.last_from), else_=uses.c.last_from),
        "times": uses.c.times + 1,
    }
    statement = new.on_conflict_do_update(index_elements=["id"], set_=values)
    # In one order, so that two replicas never wait for each other.
    rows = [
        {"used_id": one, "used": int(use.now), "by": "" if use.client is None else str(use.client)}
        for one, use in sorted(noted.items())
    ]
    database.note(lambda connection: connection.execute(statement, rows))


class UseRecorder:
    """Notes uses, and writes them every `every` seconds from the first one on, in a thread of its own."""

    def __init__(self, database: Database, *, every: float = EVERY) -> None:
        self._database = database
        self._every = every
        self._noted: dict[str, NotedUse] = {}
        self._process = 0
        self._stop = threading.Event()
        self._writing = threading.Lock()

    def touch(self, identifier: str, now: float, client: IPv4Address | IPv6Address | None) -> None:
        """Note a use: a store into a dictionary."""
        self._noted[identifier] = NotedUse(now, client)
        if self._process != os.getpid():
            self._start()

    def flush(self) -> bool:
        """Write what was noted; false if the storage does not answer. It is kept then, up to `MAX_NOTED`."""
        with self._writing:
            noted, self._noted = self._noted, {}
            try:
                write_uses(self._database, noted)
            except BackendUnavailable:
                kept = {**noted, **self._noted}
                newest = sorted(kept, key=lambda one: kept[one].now, reverse=True)[:MAX_NOTED]
                self._noted = {one: kept[one] for one in newest}
                return False
        return True

    def close(self) -> None:
        """Write what was noted, and end the thread."""
        self._stop.set()
        self.flush()

    def _start(self) -> None:
        """Start the thread, in this process: those of the process that it was forked from do not live here."""
        self._process = os.getpid()
        self._stop, self._writing = threading.Event(), threading.Lock()
        threading.Thread(target=self._run, args=(self._stop,), name="credential uses", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._every):
            self.flush()
