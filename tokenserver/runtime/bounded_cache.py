"""A thread-safe dictionary of bounded size that evicts its oldest entry, and need not admit what is asked once."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

FREE_ENTRIES = 256
"""A cache accepts every entry offered to it until it holds this many, or is full. Filling all of a large one would cost
the first requests after a start a tenth of their time, for nothing if none of them comes again."""

OFFERS_PER_ENTRY = 4
"""How many times the size of a cache it recognizes of the keys that were offered lately."""

_MARK = 0xFFFF


class BoundedCache(Generic[_Key, _Value]):
    """A cache of at most `size` entries; the oldest is evicted first. Safe for concurrent use by many threads.

    A large entry can count as several: its `weight`.
    """

    __slots__ = ("_entries", "_free", "_lock", "_offered", "_size", "_weight", "_weights", "get")

    get: Callable[[_Key], _Value | None]
    """The value of a key, or None. This is the dictionary's own method, since each request calls it several times."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = min(size, FREE_ENTRIES)
        # A plain dictionary would step over the places of all entries evicted before, to find its oldest one.
        self._entries: OrderedDict[_Key, _Value] = OrderedDict()
        self._weights: dict[_Key, int] = {}  # of those that weigh more than 1
        self._weight = 0
        self._offered = array("H")
        self._lock = threading.Lock()
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Drop all entries; the keys that were offered lately are still known."""
        with self._lock:
            self._entries.clear()
            self._weights.clear()
            self._weight = 0

    def put(self, key: _Key, value: _Value, weight: int = 1) -> None:
        """Store `value` under `key`, replacing any earlier value; what weighs more than the whole cache is dropped."""
        with self._lock:
            entries = self._entries
            if key in entries:  # reinserted below, so that it counts as the newest
                del entries[key]
                self._weight -= self._weights.pop(key, 1)
            entries[key] = value
            self._weight += weight
            if weight > 1:
                self._weights[key] = weight
            while self._weight > self._size:
                oldest, _ = entries.popitem(last=False)
                self._weight -= self._weights.pop(oldest, 1)

    def offer(self, key: _Key, value: _Value, weight: int = 1) -> bool:
        """As `put`, unless the cache has `FREE_ENTRIES`: then only a key that was offered before, not long ago.

        Returns whether it was taken.

        So a stream of keys that come once each evicts nothing, and its values are freed while the processor still has
        them in its own caches: keeping each of them would cost more than computing it. One key of some thousands is
        taken for another one, and admitted early.
        """
        if self._weight + weight > self._free:
            # Without the lock: a thread that overwrites the place of another one's key only delays that key.
            offered = self._offered or self._new_places()
            rest, place = divmod(hash(key), len(offered))
            mark = rest & _MARK or 1  # 0 is an unused place
            if offered[place] != mark:
                offered[place] = mark
                if key not in self._entries:
                    return False
        self.put(key, value, weight)
        return True

    def _new_places(self) -> array[int]:
        self._offered = array("H", bytes(2 * OFFERS_PER_ENTRY * self._size))
        return self._offered
