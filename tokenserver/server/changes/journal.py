"""The journal of reported changes, which the workers of a server share: each change is reported by one of them.

All workers load a changed file by themselves, at different times, and one of them may skip a version that another one
has seen. So the journal keeps the versions of each subject in the order in which they came into force, and each worker
knows how far it has followed them: what it loads is either further down the journal, or new.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tokenserver.runtime.shared_memory import SharedMemory

NOWHERE = -1
"""The position of a process that has followed nothing yet."""

STATE_BYTES = 32

ENTRIES = 1024
"""Versions that are kept; of those before, a change may be reported again."""

_COUNT = struct.Struct("=Q")
_ENTRY = struct.Struct("=16s32s32s")
"""The hash of the subject, the state, and the digest in force: zeros for a subject without one."""

_UNKNOWN = bytes(STATE_BYTES)

STUCK = "audit: another worker holds the lock of the journal of changes; a change may be reported twice"

Write = Callable[[bytes | None], None]
"""Writes the event of a change. It gets the digest of the subject's version before, None if that is unknown."""


class _Reported(NamedTuple):
    position: int
    state: bytes
    digest: bytes


class ChangeJournal:
    """The last versions of all subjects. With `shared`, processes that are forked later have the same journal.

    Raises:
        OSError: there is no memory to share.
    """

    def __init__(self, *, shared: bool) -> None:
        size = _COUNT.size + ENTRIES * _ENTRY.size
        self._shared = SharedMemory([size], stuck=STUCK) if shared else None
        self._memory = memoryview(bytearray(size)) if self._shared is None else self._shared.parts[0]
        self._lock = threading.Lock()

    def is_known(self, subject: str, state: bytes, after: int) -> bool:
        """Whether another process has reported the state; if so, `report` will write nothing."""
        with self._alone() as is_alone:
            return is_alone and _found([*self._entries(subject)], state, after) is not None

    def has(self, subject: str) -> bool:
        """Whether any version of the subject was reported."""
        with self._alone() as is_alone:
            return is_alone and any(True for _ in self._entries(subject))

    def report(self, subject: str, state: bytes, digest: bytes | None, after: int, write: Write) -> int:
        """Report that a subject has this state now, unless another process has; the new position of this process.

        `state` is what distinguishes versions, `digest` what the event of the next one calls this one; `after` is the
        position of this process. While `write` runs, no other process reports anything. What it raises is raised, and
        then nothing is reported. A lock that cannot be had in time prevents no report: rather twice than never.
        """
        with self._alone() as is_alone:
            entries = [*self._entries(subject)]
            found = _found(entries, state, after) if is_alone else None
            if found is not None:
                return found
            before = entries[-1].digest if entries else _UNKNOWN
            write(None if before == _UNKNOWN else before)
            return self._append(subject, state, digest or _UNKNOWN) if is_alone else after

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        if self._shared is None:
            with self._lock:
                yield True
        else:
            with self._shared.alone() as is_alone:
                yield is_alone

    def _count(self) -> int:
        return int(_COUNT.unpack_from(self._memory)[0])

    def _entries(self, subject: str) -> Iterator[_Reported]:
        """The entries of a subject that are still there, the oldest first."""
        tag, count = _tag(subject), self._count()
        for position in range(max(0, count - ENTRIES), count):
            found, state, digest = _ENTRY.unpack_from(self._memory, self._place(position))
            if found == tag:
                yield _Reported(position, state, digest)

    def _append(self, subject: str, state: bytes, digest: bytes) -> int:
        count = self._count()
        _ENTRY.pack_into(self._memory, self._place(count), _tag(subject), state, digest)
        # Last: a process that dies before has reported nothing, and another one will.
        _COUNT.pack_into(self._memory, 0, count + 1)
        return count

    def _place(self, position: int) -> int:
        return _COUNT.size + position % ENTRIES * _ENTRY.size


def _found(entries: list[_Reported], state: bytes, after: int) -> int | None:
    """The position of the state: the next one behind `after`; for a process that has followed nothing, the last."""
    behind = [entry.position for entry in entries if entry.position > after and entry.state == state]
    if not behind:
        return None
    return behind[-1] if after == NOWHERE else behind[0]


def _tag(subject: str) -> bytes:
    return hashlib.blake2b(subject.encode("utf-8", "surrogateescape"), digest_size=16).digest()
