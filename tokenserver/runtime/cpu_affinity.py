"""CPU affinity: how many cores the server may use, and which core each worker is pinned to."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from tokenserver.runtime.anonymous_file import anonymous_file

logger = logging.getLogger("tokenserver.machine")

CORES = frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset(range(os.cpu_count() or 1))
"""The cores that the server may run on, as of its start."""

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""A container's limit on CPU time (Linux, "Control Group v2", section CPU)."""

_home: frozenset[int] | None = None
_claimed: WorkerCores | None = None  # kept: without its file, the core would be free for others


def core_count(limit: Path = CPU_LIMIT) -> int:
    """The number of usable cores: those of the machine, or as many as a container is limited to."""
    try:
        quota, period = limit.read_text("ascii").split()
        allowed = -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such limit, or `max`
        return len(CORES)
    return max(1, min(len(CORES), allowed))


class WorkerCores:
    """One core for each worker, if there are as many workers as cores. Create it before the workers are forked.

    A worker runs one Python thread at a time. If its threads may run anywhere, each tends to wake on another core than
    the one before, with cold caches; pinned to one core, the same work takes a third less time.

    A claim is a record lock on one byte of an unnamed file. The kernel releases it when the worker ends, at any point,
    so a worker that is killed while claiming a core does not block the others.
    """

    def __init__(self, workers: int, cores: frozenset[int] = CORES) -> None:
        self._cores = sorted(cores) if workers == len(cores) > 1 and sys.platform == "linux" else []
        self._file: int | None = None
        if self._cores:
            try:
                self._file = anonymous_file("tokenserver-cores", self)
            except OSError:  # without the file no core can be claimed
                self._cores = []

    def claim(self) -> int | None:
        """Pin this process, and the threads that it will start, to a free core; None if there is none."""
        for index, core in enumerate(self._cores):
            if self._is_free(index):
                _keep(self)
                _pin_to(core)
                return core
        return None

    def _is_free(self, index: int) -> bool:
        assert self._file is not None  # noqa: S101 - without it there are no cores to claim
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
        except OSError:
            return False
        return True


def _keep(cores: WorkerCores) -> None:
    global _claimed  # noqa: PLW0603 - as `_home`
    _claimed = cores


def _pin_to(core: int) -> None:
    global _home  # noqa: PLW0603 - as the affinity itself, it is one for the whole process
    home = frozenset({core})
    if _move_to(home):
        _home = home


def _move_to(cores: frozenset[int]) -> bool:
    """Move this thread, and those that it starts later. A refusal is harmless: it keeps running where it did."""
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:  # the cores were taken away since the start
        logger.warning("cannot run on core %s: %s", ", ".join(map(str, sorted(cores))), error.strerror)
        return False
    return True


class OnAllCores(AbstractContextManager[None]):
    """Enters `room`, and inside it unpins this thread, for long computations that do not hold Python's lock."""

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
