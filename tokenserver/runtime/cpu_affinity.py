"""What this server may use of its machine, and what its processes keep to themselves."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

logger = logging.getLogger("tokenserver.machine")

CORES = frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset(range(os.cpu_count() or 1))
"""The cores that the server was started on."""

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Where a container reads how much of its cores it may have (Linux, "Control Group v2", section CPU)."""

_home: frozenset[int] | None = None


def core_count(limit: Path = CPU_LIMIT) -> int:
    """How many cores there are to work with: those of the machine, or as many as a container is limited to."""
    try:
        quota, period = limit.read_text("ascii").split()
        allowed = -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such limit, or `max`
        return len(CORES)
    return max(1, min(len(CORES), allowed))


class Seats:
    """One core for each worker, where there is a worker for each core. Made before the workers are.

    A worker runs one thread of Python at a time. As long as its threads may run anywhere, each is woken on another
    core than the one before, with cold caches; on one core the same work takes a third less time.

    A seat is a record lock on one byte of a file without a name. The kernel releases it when the worker ends, wherever
    that was, so a worker that is killed while it takes its seat stops no other one.
    """

    def __init__(self, workers: int, cores: frozenset[int] = CORES) -> None:
        self._cores = sorted(cores) if workers == len(cores) > 1 and sys.platform == "linux" else []
        self._file = _nameless_file() if self._cores else None
        if self._file is None:
            self._cores = []

    def take(self) -> int | None:
        """Keep this process, and the threads that it will start, on a core of its own; None where there is none."""
        for seat, core in enumerate(self._cores):
            if self._is_free(seat):
                _stay_on(core)
                return core
        return None

    def _is_free(self, seat: int) -> bool:
        assert self._file is not None  # noqa: S101 - without it there are no seats
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, seat)
        except OSError:
            return False
        return True


def _nameless_file() -> int | None:
    """A file in memory to lock; None where a sandbox forbids it."""
    try:
        return os.memfd_create("tokenserver-seats", os.MFD_CLOEXEC)
    except OSError:
        return None


def _stay_on(core: int) -> None:
    global _home  # noqa: PLW0603 - as the affinity itself, it is one for the whole process
    home = frozenset({core})
    if _move_to(home):
        _home = home


def _move_to(cores: frozenset[int]) -> bool:
    """Move this thread, and those that it starts from now on. No harm where that is refused: it runs where it did."""
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:  # the cores were given to others since the start
        logger.warning("core %s is not to be had: %s", ", ".join(map(str, sorted(cores))), error.strerror)
        return False
    return True


class Roaming(AbstractContextManager[None]):
    """`room`, and in it this thread may use every core: it computes alone, without Python's lock, and for long."""

    def __init__(self, room: AbstractContextManager[None]) -> None:
        self._room = room

    def __enter__(self) -> None:
        self._room.__enter__()
        if _home is not None:
            _move_to(CORES)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _home is not None:
            _move_to(_home)
        self._room.__exit__(kind, error, traceback)
