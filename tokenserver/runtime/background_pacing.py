"""Pacing of background work, so that requests on other threads are not held up by it.

Python runs one thread at a time. A thread that wants the interpreter while another one computes waits for the switch
interval, and much longer while the other one makes system calls in a row: each call releases the interpreter and
reacquires it before the waiting thread is awake. Only a sleeping thread is certain to be out of the way.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORK_SECONDS = 0.0002
"""How long a paced thread works before it rests."""

REST_SECONDS = 0.00005
"""How long it then sleeps. The system doubles that, which is the time of two or three requests."""

STEP_SECONDS = 0.0005
"""The switch interval during background work, for the steps that cannot rest in between. Python's default is ten times
as long, and a request that reacquires the interpreter several times would wait that long each time."""


class Pacer:
    """Call it between two small pieces of work: within `yielding` it sleeps when a rest is due, else it does nothing.

    Each background thread needs its own pacer. Clock and sleep are in seconds.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._due: float | None = None

    def __call__(self) -> None:
        """Rest if a rest is due."""
        if self._due is not None and self._monotonic() >= self._due:
            self._sleep(REST_SECONDS)
            self._due = self._monotonic() + WORK_SECONDS

    @contextmanager
    def yielding(self) -> Iterator[None]:
        """Pace this thread: calls rest when due, and between them the switch interval is short."""
        _interval.shorten()
        self._due = self._monotonic() + WORK_SECONDS
        try:
            yield
        finally:
            self._due = None
            _interval.restore()


class _Interval:
    """The interpreter's switch interval, shared by all threads: short until the last of them is done."""

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
    """A pacer that never rests, for work that delays no request."""
