"""Shared memory that workers count in and the listener reads: a row of numbers for each worker.

It is memory and not a file, so no folder can be full, read-only or left behind. A worker writes to its own row only,
which it holds by a lock that the system releases when it dies; the next worker with that row continues its numbers. So
no count is lost, not even if a worker is killed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
from array import array
from typing import Any

from tokenserver.metrics.definitions import LabelNames, Layout
from tokenserver.runtime.anonymous_file import allocate, anonymous_file, closed_with
from tokenserver.runtime.bulletin import Bulletin

CELL = array("d").itemsize

SPARE_ROWS = 2
"""For workers that start while their predecessors are still ending."""


class Board:
    """Rows of `layout.size` numbers, shared with child processes that are given it, forked or spawned.

    Raises:
        OSError: there is not enough memory.
    """

    def __init__(self, layout: Layout, *, workers: int) -> None:
        self._posted: Bulletin | None = Bulletin()
        self._layout = layout
        self._rows = workers + SPARE_ROWS
        self._file = anonymous_file("tokenserver-metrics", self)
        allocate(self._file, self._size)
        self._memory = mmap.mmap(self._file, self._size)

    @property
    def layout(self) -> Layout:
        """The current layout. Cells stay where they are; labels may become more (see `add`)."""
        text = "" if self._posted is None else self._posted.read()
        if text:
            names = LabelNames(*map(tuple, json.loads(text)))
            if names != self._layout.names:
                self._layout = Layout(**names._asdict())
        return self._layout

    def add(self, names: LabelNames) -> list[str]:
        """Give spare cells to the names that are new, in every process; returns those for which there are none.

        One thread of the master process may do this. A spawned process has the names of its start.
        """
        known = self.layout.names
        more = known.including(names)
        if more != known and self._posted is not None:
            self._posted.post(json.dumps(more))
        return self.layout.names.missing(names)

    def claim(self) -> memoryview[float] | None:
        """A row for this process, until it ends or has no reference to the board; None if all are taken."""
        for number in range(self._rows):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    continue
                raise
            size = self._layout.size
            return memoryview(self._memory).cast("d")[number * size : (number + 1) * size]
        return None

    def rows(self) -> list[array[float]]:
        """A copy of all rows."""
        cells = array("d", self._memory[:])
        size = self._layout.size
        return [cells[start : start + size] for start in range(0, len(cells), size)]

    @property
    def _size(self) -> int:
        return self._rows * self._layout.size * CELL

    def __getstate__(self) -> dict[str, Any]:
        """For a worker that is spawned and not forked: it inherits the descriptor."""
        from multiprocessing.reduction import DupFd  # noqa: PLC0415 - it is loaded already when it is needed

        return {"layout": self.layout, "rows": self._rows, "file": DupFd(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._posted = None
        self._layout, self._rows = state["layout"], state["rows"]
        self._file = closed_with(self, state["file"].detach())
        self._memory = mmap.mmap(self._file, self._size)
