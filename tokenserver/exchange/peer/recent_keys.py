"""What happened within the last seconds, in bounded memory: the oldest is forgotten first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable


class RecentKeys:
    """Keys that were added within the last `seconds`, at most `size` of them. Thread-safe.

    Only the hashes of the keys are kept, which Python salts in each process: a key of any size costs the same, and the
    memory holds no name. Two keys with the same hash count as one.
    """

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds = seconds
        self._size = size
        self._added: OrderedDict[int, float] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._added)

    def has(self, key: Hashable, now: float) -> bool:
        """Whether the key was added within the last seconds. Takes no lock, since requests call it."""
        added = self._added.get(hash(key))
        return added is not None and now - added < self._seconds

    def add(self, key: Hashable, now: float) -> None:
        """Add a key at the moment `now`, in seconds of a clock that never goes back."""
        digest = hash(key)
        with self._lock:
            self._added[digest] = now
            self._added.move_to_end(digest)
            if len(self._added) > self._size:
                self._added.popitem(last=False)

    def discard(self, key: Hashable) -> None:
        """Forget a key, if it is known."""
        with self._lock:
            self._added.pop(hash(key), None)
