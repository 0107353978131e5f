"""How long a program took, without the time for which it could have run but other programs had the cores.

On an idle machine that is the time on the clock. On a busy one it is about what it would be on an idle one, so that a
promise of the server can be measured beside other tests, as exactly as alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.waiting import PATIENCE_SECONDS


class OwnTime:
    """Runs from the moment at which it is made, for processes, all that they started, and the thread that asks it."""

    def __init__(self, *processes: int) -> None:
        self._processes = processes
        self._asking = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}")
        self._begin = time.monotonic()  # before the files are read, which may take long as well
        self._waited = self._waits()

    @property
    def seconds(self) -> float:
        """The seconds until now, without those that were waited for a core."""
        waited = self.waited  # before the clock is read: reading the files may take long as well
        return time.monotonic() - self._begin - waited

    @property
    def waited(self) -> float:
        """The seconds that the asking thread waited for a core until now, and that the processes did.

        They waited beside each other: what counts is the one whose threads waited longest.
        """
        shares = {
            who: sum(waited - self._waited.get(who, {}).get(thread, 0.0) for thread, waited in threads.items())
            for who, threads in self._waits().items()
        }
        return shares.pop(0) + max(shares.values(), default=0.0)

    def is_over(self, seconds: float) -> bool:
        """Whether that is more than so many seconds, or too much time on the clock for any machine."""
        return self.seconds > seconds or time.monotonic() - self._begin > PATIENCE_SECONDS

    def wait(self, seconds: float) -> None:
        """Sleep until so many of its own seconds are over, or ten times as many on the clock."""
        while self.seconds < seconds and time.monotonic() - self._begin < 10 * seconds:
            time.sleep(0.05)

    def _waits(self) -> dict[int, dict[Path, float]]:
        """By process, 0 for the asking thread: the seconds that each thread has waited for a core, if Linux counts."""
        found = {0: _waits_of([self._asking])}
        left = [*self._processes]
        while left:
            process = left.pop()
            found[process] = _waits_of(_threads(process))
            left += _children(process)
        return found


def promptly(process: int, holds: Callable[[], bool], *, seconds: float) -> None:
    """See that it comes to hold within so many seconds of this process' own, from now on."""
    own = OwnTime(process)
    while not holds():
        assert not own.is_over(seconds), f"it did not come within {seconds} s"
        time.sleep(0.05)


def _threads(process: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{process}/task").iterdir())
    except OSError:  # it has ended
        return []


def _waits_of(threads: list[Path]) -> dict[Path, float]:
    found = {}
    for thread in threads:
        try:
            _, waited, _ = (thread / "schedstat").read_text().split()
        except (OSError, ValueError):
            continue
        found[thread] = int(waited) / 1e9
    return found


def _children(process: int) -> list[int]:
    found: list[int] = []
    for thread in _threads(process):
        try:
            found += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return found
