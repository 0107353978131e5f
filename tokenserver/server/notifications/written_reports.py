"""Which reports of registries are in the audit trail already, so that one that is sent again is written once.

A registry sends a report again when it does not get the answer, and then any worker may get it. The workers share the
last ids in the order in which they were written, and each follows them: it knows exactly the last `REMEMBERED`.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tokenserver.runtime.shared_memory import SharedMemory

REMEMBERED = 16_384
"""Reports that are remembered, of all registries together."""

TAG_BYTES = 16

_COUNT = struct.Struct("=Q")

STUCK = "notifications: another worker holds the lock of reports; one that a registry sends again may be written twice"


class WrittenReports:
    """The ids of the last reports. With `shared`, processes that are forked later have the same ones.

    Raises:
        OSError: there is no memory to share.
    """

    def __init__(self, *, shared: bool) -> None:
        size = _COUNT.size + REMEMBERED * TAG_BYTES
        self._shared = SharedMemory([size], stuck=STUCK) if shared else None
        self._memory = memoryview(bytearray(size)) if self._shared is None else self._shared.parts[0]
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)  # a registry must not choose ids that are taken for others
        self._followed = 0
        self._order: dict[int, bytes] = {}
        self._positions: dict[bytes, int] = {}

    def write_once(self, service: str, identifier: str, write: Callable[[], object]) -> bool:
        """Call `write` unless it was called for this report of this registry before; whether it was called now.

        Meanwhile no other process writes a report. What it raises is raised, and then the report is not written. A
        process that dies in `write` may have written it, and it is written again; so it is if the lock cannot be had
        in time: rather twice than never.
        """
        tag = self._tag(service, identifier)
        with self._alone() as is_alone:
            if is_alone:
                self._follow()
                if tag in self._positions:
                    return False
            write()
            if is_alone:
                self._append(tag)
            return True

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        if self._shared is None:
            with self._lock:
                yield True
        else:
            with self._shared.alone() as is_alone:
                yield is_alone

    def _follow(self) -> None:
        """Take over what other processes have written since the last time."""
        count = int(_COUNT.unpack_from(self._memory)[0])
        for position in range(max(self._followed, count - REMEMBERED), count):
            start = _place(position)
            self._note(position, bytes(self._memory[start : start + TAG_BYTES]))
        self._followed = count

    def _append(self, tag: bytes) -> None:
        start = _place(self._followed)
        self._memory[start : start + TAG_BYTES] = tag
        self._note(self._followed, tag)
        self._followed += 1
        # Last: a process that dies before has not counted it.
        _COUNT.pack_into(self._memory, 0, self._followed)

    def _note(self, position: int, tag: bytes) -> None:
        """Remember the report of this position in place of the one whose place it takes."""
        at = position % REMEMBERED
        previous = self._order.get(at, b"")
        if self._positions.get(previous, position) <= position - REMEMBERED:
            del self._positions[previous]
        self._order[at] = tag
        self._positions[tag] = position

    def _tag(self, service: str, identifier: str) -> bytes:
        written = f"{len(service)}:{service}{identifier}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(written, key=self._secret, digest_size=TAG_BYTES).digest()


def _place(position: int) -> int:
    return _COUNT.size + position % REMEMBERED * TAG_BYTES
