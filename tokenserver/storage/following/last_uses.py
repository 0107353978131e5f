"""Last uses of credentials: noted in memory by requests, and written to the database once a minute."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

FLUSH_SECONDS = 60.0
"""How often uses are written, and read. After a crash, those of the last minute are lost."""

MAX_WAITING = 100_000
"""How many credentials can have uses that wait for the database; further ones are not noted while it is down."""


Address = IPv4Address | IPv6Address


class NotedUse(NamedTuple):
    """The last of several uses of one credential, and where the first of them came from."""

    last: int
    last_from: str
    first_from: str
    times: int


class _Noted:
    """Uses of one credential. Changed in place, since each request notes one."""

    __slots__ = ("first_from", "last", "last_from", "times")

    def __init__(self, moment: float, client: Address | None) -> None:
        self.last = moment
        self.last_from = self.first_from = client
        self.times = 1


class LastUses:
    """The uses that are not in the database yet, and the last ones that are. Safe for concurrent use by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, _Noted] = {}
        self._waiting: dict[str, NotedUse] = {}
        self._known: dict[str, int] = {}

    def touch(self, identifier: str, now: float, client: Address | None) -> None:
        """Note a use at `now` (seconds since the epoch) from this address; None if it is unknown."""
        before = self._noted.get(identifier)
        if before is None:
            self._noted[identifier] = _Noted(now, client)
        else:
            before.last, before.last_from = now, client
            before.times += 1

    def last(self, identifier: str) -> int | None:
        """The last use that is known here, in seconds since the epoch."""
        noted = self._noted.get(identifier)
        return self._known.get(identifier) if noted is None else int(noted.last)

    def learn(self, uses: Mapping[str, int]) -> None:
        """Take over last uses from the database; later ones that are known are left."""
        with self._lock:
            self._learn(uses)

    def forget_but(self, identifiers: Mapping[str, object]) -> None:
        """Forget the credentials that are not among these."""
        with self._lock:
            self._known = {one: last for one, last in self._known.items() if one in identifiers}

    def take(self) -> dict[str, NotedUse]:
        """The uses to write now, by id. They are taken again unless `written` is called."""
        with self._lock:
            noted = self._noted
            self._learn(_moments(list(noted.items())))  # first, so that `last` finds them in one of the two
            self._noted = {}
            uses = list(noted.items())  # a thread may still hold the old dictionary
            for identifier, one in uses:
                before = self._waiting.get(identifier)
                if before is not None:
                    times = before.times + one.times
                    self._waiting[identifier] = NotedUse(int(one.last), _text(one.last_from), before.first_from, times)
                elif len(self._waiting) < MAX_WAITING:
                    use = NotedUse(int(one.last), _text(one.last_from), _text(one.first_from), one.times)
                    self._waiting[identifier] = use
            self._learn(_moments(uses))
            return dict(self._waiting)

    def written(self, uses: Mapping[str, NotedUse]) -> None:
        """Record that these are in the database."""
        with self._lock:
            for identifier, use in uses.items():
                if self._waiting.get(identifier) == use:
                    del self._waiting[identifier]

    def _learn(self, uses: Mapping[str, int]) -> None:
        for identifier, last in uses.items():
            if last > self._known.get(identifier, -1):
                self._known[identifier] = last


def _moments(noted: list[tuple[str, _Noted]]) -> dict[str, int]:
    return {identifier: int(one.last) for identifier, one in noted}


def _text(client: Address | None) -> str:
    return "" if client is None else str(client)
