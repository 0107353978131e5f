"""A dictionary that cannot grow beyond its size, for what may be forgotten at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Bounded(Generic[_Key, _Value]):
    """Remembers at most `size` entries; the oldest goes first. Many threads may use it at once."""

    __slots__ = ("_entries", "_lock", "_size", "get")

    get: Callable[[_Key], _Value | None]
    """What stands under a key, or None. The dictionary's own method: it is called several times for each request."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[_Key, _Value] = {}
        self._lock = threading.Lock()
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: _Key, value: _Value) -> None:
        """Remember `value`; whatever stood under `key` is gone."""
        with self._lock:
            entries = self._entries
            entries.pop(key, None)  # so that it counts as the newest
            entries[key] = value
            if len(entries) > self._size:
                del entries[next(iter(entries))]

    def drop(self, key: _Key) -> None:
        """Forget what stands under `key`, if anything."""
        with self._lock:
            self._entries.pop(key, None)
