"""Ids that a worker does not know: a credential that another process has just made is read from the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from tokenserver.runtime.singleflight import SingleFlight
from tokenserver.storage.credential import CredentialRow

READS_PER_SECOND = 20
"""How many ids are looked up in the database, so that made-up keys cannot load it."""

REMEMBERED_SECONDS = 2.0
"""How long an id stays unknown without another look."""

_WAITING = 16
_WAIT_SECONDS = 3.0


class UsedRow(NamedTuple):
    """A row, and the last use that the database knows, in seconds since the epoch; None if it knows of none."""

    row: CredentialRow
    last: int | None


class FoundRow(NamedTuple):
    """`found` is None if the database has no such id; or after too many looks: then `is_certain` is false."""

    found: UsedRow | None
    is_certain: bool


class MissingRows:
    """Looks ids up by `read`, which raises `StorageUnavailable`. `monotonic` is in seconds. Thread-safe."""

    def __init__(self, read: Callable[[str], UsedRow | None], *, monotonic: Callable[[], float]) -> None:
        self._read = read
        self._monotonic = monotonic
        self._flights: SingleFlight[UsedRow | None] = SingleFlight(followers=_WAITING, seconds=_WAIT_SECONDS)
        self._lock = threading.Lock()
        self._unknown: dict[str, float] = {}
        self._budget = float(READS_PER_SECOND)
        self._refilled = monotonic()

    def find(self, identifier: str) -> FoundRow:
        """What the database says about an id; concurrent looks for the same one share the answer.

        Raises:
            StorageUnavailable: it cannot be asked.
            Overloaded: too many callers wait for the same look.
        """
        now = self._monotonic()
        until = self._unknown.get(identifier)
        if until is not None and now < until:
            return FoundRow(None, is_certain=True)
        key = identifier.encode()
        if not self._flights.is_under_way(key) and not self._may_read(now):
            return FoundRow(None, is_certain=False)
        found = self._flights.run(key, lambda: self._read(identifier))
        if found is None:
            with self._lock:
                self._unknown[identifier] = now + REMEMBERED_SECONDS
        return FoundRow(found, is_certain=True)

    def forget(self, identifier: str) -> None:
        """Look again for this id, which is known by now."""
        with self._lock:
            self._unknown.pop(identifier, None)

    def _may_read(self, now: float) -> bool:
        """Take one look from the budget. What is out of date goes, so that only the looks of two seconds stay."""
        with self._lock:
            for one in [one for one, until in self._unknown.items() if until <= now]:
                del self._unknown[one]
            self._budget = min(READS_PER_SECOND, self._budget + (now - self._refilled) * READS_PER_SECOND)
            self._refilled = now
            if self._budget < 1:
                return False
            self._budget -= 1
            return True
