"""A thread-safe dictionary of bounded size that evicts its oldest entry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class BoundedCache(Generic[_Key, _Value]):
    """A cache of at most `size` entries; the oldest is evicted first. Safe for concurrent use by many threads."""

    __slots__ = ("_entries", "_lock", "_size", "get")

    get: Callable[[_Key], _Value | None]
    """The value of a key, or None. This is the dictionary's own method, since each request calls it several times."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[_Key, _Value] = {}
        self._lock = threading.Lock()
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: _Key, value: _Value) -> None:
        """Store `value` under `key`, replacing any earlier value."""
        with self._lock:
            entries = self._entries
            entries.pop(key, None)  # reinserted below, so that it counts as the newest
            entries[key] = value
            if len(entries) > self._size:
                del entries[next(iter(entries))]
