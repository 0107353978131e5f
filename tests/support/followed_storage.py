"""A database, and copies of its credentials as workers have them, with clocks that tests set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from stored_credentials import STATE_KEYS, Clock, new_database, store_of

from tokenserver.access_keys import AccessKey
from tokenserver.credentials import Key
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.following.chores import Chores
from tokenserver.storage.following.follower import StorageFollower
from tokenserver.storage.following.missing_rows import UsedRow
from tokenserver.storage.following.reading import CredentialReader
from tokenserver.storage.following.signals import SqliteSignal
from tokenserver.storage.index import CredentialIndex, HeldCredential
from tokenserver.storage.state_keys import StateKeys

GRACE = 900.0


def presented(key: AccessKey, name: str = "") -> Key:
    """The key as a client presents it."""
    return Key(key.form, key.id, key.text, name)


class Copy:
    """The index of one worker with its follower, whose looks a test makes itself."""

    def __init__(self, site: Site, *, keys: StateKeys = STATE_KEYS, grace: float = GRACE) -> None:
        self.reader = CredentialReader(site.database)
        self.read: Callable[[str], UsedRow | None] = self.reader.row
        """How ids that the index lacks are looked up."""
        self.index = CredentialIndex(keys, self._read, grace=grace, monotonic=site.monotonic)
        self.signal = SqliteSignal(site.file, seconds=0.0)
        self.chores = Chores(
            self.index.uses, self.reader, is_first=lambda _: True, now=site.clock, monotonic=site.monotonic
        )
        self.follower = StorageFollower(
            self.index, self.reader, self.signal, learn_uses=self.chores.learn_uses, monotonic=site.monotonic
        )
        self.stop = threading.Event()

    def _read(self, identifier: str) -> UsedRow | None:
        return self.read(identifier)

    def look(self) -> bool:
        """One look at the database; whether it answered."""
        return self.follower.look(self.stop)

    def verified(self, key: AccessKey) -> HeldCredential | None:
        """What the index says about a key."""
        return self.index.verified(presented(key))


class Site:
    """A database in a file, and its store, which no index hears of directly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "state.db"
        self.clock = Clock()
        self.monotonic = Clock(1000.0)
        self.database = new_database(folder)
        self.store = store_of(self.database, self.clock)
        self._copies: list[Copy] = []

    def copy(self, **options: Any) -> Copy:
        """The copy of a new worker, which has not looked yet."""
        copy = Copy(self, **options)
        self._copies.append(copy)
        return copy

    def make(self, wanted: StoredCredential, at_most: int = 1000) -> AccessKey:
        """A new credential; its key."""
        return self.store.create(wanted, at_most=at_most)[0]

    def sql(self, statement: str, **values: object) -> None:
        """What somebody with access to the database does, without a revision."""
        with self.database.engine.begin() as connection:
            connection.execute(text(statement), values)

    def close(self) -> None:
        """Close all connections."""
        for copy in self._copies:
            copy.signal.close()
        self.database.close()


@contextmanager
def followed_storage(folder: Path) -> Iterator[Site]:
    """A new site in the folder."""
    site = Site(folder)
    try:
        yield site
    finally:
        site.close()
