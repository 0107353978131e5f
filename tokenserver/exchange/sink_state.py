"""State shared by the processes that write to one sink: a lock, how the last line ended, whether it is blocked."""

from __future__ import annotations

import mmap

from tokenserver.runtime.anonymous_file import allocate, anonymous_file
from tokenserver.runtime.shared_lock import MUTEX_BYTES, shared_lock

MAX_REST = 64 * 1024
"""Bytes of a line that are kept until the reader resumes; a longer rest leaves a fragment."""

WHOLE, BROKEN, KEPT = range(3)
"""How the last line ended: with its newline; anywhere; where `SinkState.rest` continues it."""

_MUTEX = 64
_REST = _MUTEX + MUTEX_BYTES
OWN_BYTES = _REST + MAX_REST
"""Bytes of the memory of every state."""
ENDING, BLOCKED, _ERROR, _LENGTH = range(4)
"""Indexes of the numbers of a state."""


class SinkState:
    """State that the writers of one sink share: this process and those that it forks later.

    `lock` excludes all other writers; its holder may read and set how the last line ended. The properties show
    `numbers`.
    """

    EXTRA = 0
    """Bytes of further memory, for what a kind of sink shares besides: in `memory`, from `OWN_BYTES` on."""

    def __init__(self) -> None:
        """Allocate the memory.

        Raises:
            OSError: there is not enough.
        """
        file = anonymous_file("tokenserver-audit", self)
        size = OWN_BYTES + self.EXTRA
        allocate(file, size)
        memory = mmap.mmap(file, size)
        self.lock = shared_lock(file, memory, _MUTEX)
        self.numbers = memoryview(memory)[:_MUTEX].cast("Q")
        self._rest = memoryview(memory)[_REST:OWN_BYTES]
        self.memory = memory

    @property
    def ending(self) -> int:
        """`WHOLE`, `BROKEN` or `KEPT`."""
        return self.numbers[ENDING]

    @ending.setter
    def ending(self, ending: int) -> None:
        self.numbers[ENDING] = ending

    @property
    def rest(self) -> bytes:
        """The missing rest of the last line, if it is `KEPT`."""
        return bytes(self._rest[: self.numbers[_LENGTH]])

    def keep(self, rest: bytes) -> None:
        """Record that the last line lacks `rest`, which the next writer has to write first."""
        if len(rest) <= MAX_REST:
            self._rest[: len(rest)] = rest
            self.numbers[_LENGTH] = len(rest)
            self.ending = KEPT

    @property
    def is_blocked(self) -> bool:
        """Whether the last write failed. It needs no lock."""
        return self.numbers[BLOCKED] != 0

    @property
    def error(self) -> int:
        """Why it is blocked, as an errno; else 0."""
        return self.numbers[_ERROR] if self.is_blocked else 0

    def block(self, error: int) -> None:
        """Record that the last write failed."""
        self.numbers[_ERROR] = error
        self.numbers[BLOCKED] = 1

    def unblock(self) -> None:
        """Record that the last write succeeded."""
        self.numbers[BLOCKED] = 0
