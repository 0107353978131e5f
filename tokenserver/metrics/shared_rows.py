"""Shared memory that workers count in and the listener reads: a row of numbers for each worker.

It is memory and not a file, so no folder can be full, read-only or left behind. A worker writes to its own row only,
which it holds by a lock that the system releases when it dies; the next worker with that row continues its numbers. So
no count is lost, not even if a worker is killed.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
from array import array
from typing import Any

from tokenserver.metrics.definitions import Layout
from tokenserver.runtime.anonymous_file import allocate, anonymous_file

CELL = array("d").itemsize

SPARE_ROWS = 2
"""For workers that start while their predecessors are still ending."""


class Board:
    """Rows of `layout.size` numbers, shared with child processes that are given it, forked or spawned.

    Raises:
        OSError: there is not enough memory.
    """

    def __init__(self, layout: Layout, *, workers: int) -> None:
        self.layout = layout
        self._rows = workers + SPARE_ROWS
        self._file = anonymous_file("tokenserver-metrics")
        allocate(self._file, self._size)
        self._memory = mmap.mmap(self._file, self._size)

    def claim(self) -> memoryview[float] | None:
        """A row for this process, until it ends; None if all are taken."""
        for number in range(self._rows):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    continue
                raise
            size = self.layout.size
            return memoryview(self._memory).cast("d")[number * size : (number + 1) * size]
        return None

    def rows(self) -> list[array[float]]:
        """A copy of all rows."""
        cells = array("d", self._memory[:])
        size = self.layout.size
        return [cells[start : start + size] for start in range(0, len(cells), size)]

    @property
    def _size(self) -> int:
        return self._rows * self.layout.size * CELL

    def __getstate__(self) -> dict[str, Any]:
        """For a worker that is spawned and not forked: it inherits the descriptor."""
        from multiprocessing.reduction import DupFd  # noqa: PLC0415 - it is loaded already when it is needed

        return {"layout": self.layout, "rows": self._rows, "file": DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.layout, self._rows = state["layout"], state["rows"]
        self._file = state["file"].detach()
        self._memory = mmap.mmap(self._file, self._size)
