"""Work in the background that leaves the interpreter to requests again and again.

Python runs one thread at a time. Who asks for the interpreter while another thread computes waits for the switch
interval; and while another thread calls the system in a row, much longer: each call gives the interpreter away and
takes it back before the waiting thread is awake. A thread that sleeps is out of the way for sure.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORK_SECONDS = 0.0002
"""For so long it works in one go."""

REST_SECONDS = 0.00005
"""For so long it sleeps then. The system makes it twice as long, which is what two or three requests take."""

STEP_SECONDS = 0.0005
"""The switch interval meanwhile, for what cannot stop in between; Python's usual one is ten times that. A request takes
the interpreter back several times, and each time it would wait as long."""


class Pace:
    """Called between two small pieces of work, it rests where that is due; only within `stepping_aside`.

    Each thread that steps aside has a pace of its own; the others go on as they are. Clock and sleep are in seconds.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._due: float | None = None

    def __call__(self) -> None:
        """Rest, where that is due."""
        if self._due is not None and self._monotonic() >= self._due:
            self._sleep(REST_SECONDS)
            self._due = self._monotonic() + WORK_SECONDS

    @contextmanager
    def stepping_aside(self) -> Iterator[None]:
        """Rest again and again from now on, and be interrupted soon where that is not possible."""
        _interval.shorten()
        self._due = self._monotonic() + WORK_SECONDS
        try:
            yield
        finally:
            self._due = None
            _interval.restore()


class _Interval:
    """The interpreter's switch interval, which all threads share: short until the last thread that asked is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._usual = 0.0

    def shorten(self) -> None:
        with self._lock:
            if self._users == 0:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(STEP_SECONDS)
            self._users += 1

    def restore(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.setswitchinterval(self._usual)


_interval = _Interval()


def unpaced() -> None:
    """For work that nobody waits behind."""
