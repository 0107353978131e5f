"""The memory that workers count in and the listener reads: a row of numbers for each worker.

It is memory and no file, so no folder can be full, read-only or left behind. A worker writes to its own row alone; the
row is its own for as long as it lives, by a lock that the system lets go when it dies, and whoever takes the row after
it goes on with its numbers. So nothing that was counted is lost, not by a kill either.
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
"""For workers that start while others of before are not quite gone."""


class Board:
    """Rows of `layout.size` numbers. Processes that are started with it share them, forked and spawned ones alike.

    Raises:
        OSError: there is no memory for it.
    """

    def __init__(self, layout: Layout, *, workers: int) -> None:
        self.layout = layout
        self._rows = workers + SPARE_ROWS
        self._file = anonymous_file("tokenserver-metrics")
        allocate(self._file, self._size)
        self._memory = mmap.mmap(self._file, self._size)

    def claim(self) -> memoryview[float] | None:
        """A row for this process, until it ends; None where all are taken."""
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
        """All rows as they are now."""
        cells = array("d", self._memory[:])
        size = self.layout.size
        return [cells[start : start + size] for start in range(0, len(cells), size)]

    @property
    def _size(self) -> int:
        return self._rows * self.layout.size * CELL

    def __getstate__(self) -> dict[str, Any]:
        """For a worker that is spawned and not forked: it is handed the descriptor."""
        from multiprocessing.reduction import DupFd  # noqa: PLC0415 - where it is needed it is there already

        return {"layout": self.layout, "rows": self._rows, "file": DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.layout, self._rows = state["layout"], state["rows"]
        self._file = state["file"].detach()
        self._memory = mmap.mmap(self._file, self._size)
