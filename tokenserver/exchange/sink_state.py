"""What the processes that write to one sink share: their lock, how the last line ended, and whether it is blocked."""

from __future__ import annotations

import mmap
import os
import weakref

from tokenserver.runtime.anonymous_file import allocate, anonymous_file
from tokenserver.runtime.shared_lock import MUTEX_BYTES, shared_lock

MAX_REST = 64 * 1024
"""Bytes of a line that are kept until its reader goes on; a longer rest leaves a fragment."""

WHOLE, BROKEN, KEPT = range(3)
"""How the last line ended: with its newline; anywhere; where `SinkState.rest` goes on."""

_MUTEX = 64
_REST = _MUTEX + MUTEX_BYTES
_SIZE = _REST + MAX_REST
ENDING, BLOCKED, _ERROR, _LENGTH = range(4)
"""Where the numbers of a state stand."""


class SinkState:
    """What the writers of one sink share. Processes that are forked after it was made have the same one.

    `lock` excludes all other writers; whoever has it may read and set what the last line came to. `numbers` are what
    the properties show.
    """

    def __init__(self) -> None:
        """Have the system make the memory.

        Raises:
            OSError: it does not.
        """
        file = anonymous_file("tokenserver-audit")
        weakref.finalize(self, os.close, file)
        allocate(file, _SIZE)
        memory = mmap.mmap(file, _SIZE)
        self.lock = shared_lock(file, memory, _MUTEX)
        self.numbers = memoryview(memory)[:_MUTEX].cast("Q")
        self._rest = memoryview(memory)[_REST:]

    @property
    def ending(self) -> int:
        """`WHOLE`, `BROKEN` or `KEPT`."""
        return self.numbers[ENDING]

    @ending.setter
    def ending(self, ending: int) -> None:
        self.numbers[ENDING] = ending

    @property
    def rest(self) -> bytes:
        """What the last line lacks, where it is `KEPT`."""
        return bytes(self._rest[: self.numbers[_LENGTH]])

    def keep(self, rest: bytes) -> None:
        """The last line lacks `rest`, which whoever writes next is to write first."""
        if len(rest) <= MAX_REST:
            self._rest[: len(rest)] = rest
            self.numbers[_LENGTH] = len(rest)
            self.ending = KEPT

    @property
    def is_blocked(self) -> bool:
        """Whether the last call to write failed. It needs no lock."""
        return self.numbers[BLOCKED] != 0

    @property
    def error(self) -> int:
        """Why, as an errno, where it is blocked; else 0."""
        return self.numbers[_ERROR] if self.is_blocked else 0

    def block(self, error: int) -> None:
        """The last call to write failed."""
        self.numbers[_ERROR] = error
        self.numbers[BLOCKED] = 1

    def unblock(self) -> None:
        """The last call to write went well."""
        self.numbers[BLOCKED] = 0
