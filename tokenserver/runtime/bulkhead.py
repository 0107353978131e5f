"""Bulkheads: how much of one kind of work runs at once, how much may wait for it, and that the rest is sent away."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from tokenserver.errors import Overloaded

logger = logging.getLogger("tokenserver.authn")

LOG_SECONDS = 10.0
"""An overload is logged this often: a line for each client that is sent away would be load as well."""


class Bulkhead:
    """Room for `workers` at once and for `queue` that wait, first come, first served; a context manager.

    Who finds no room is sent away at once, who waits longer than `wait` seconds is sent away then: clients give up
    after 15 seconds, and work for somebody who has left is work taken from others. Who waits and who has stepped aside
    are `parked` together at most, where each of them holds a thread.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int,
        queue: int,
        wait: float,
        monotonic: Callable[[], float],
        retry_after: int = 2,
        parked: int = sys.maxsize,
    ) -> None:
        self.name = name
        self.workers = workers
        self.queue = queue
        self._wait = wait
        self._monotonic = monotonic
        self._retry_after = retry_after
        self._parked = parked
        self._released = 0
        self._lock = threading.Lock()
        self._busy = 0
        # Each who waits sleeps on a lock of its own, which costs less than an event.
        self._waiting: deque[threading.Lock] = deque()
        self._rejected = 0
        self._logged: float | None = None

    @property
    def load(self) -> tuple[int, int]:
        """How many work and how many wait now."""
        with self._lock:
            return self._busy, len(self._waiting)

    @property
    def rejected(self) -> int:
        """How many found no room so far."""
        return self._rejected

    def reject_if_full(self) -> None:
        """For who would come in only after other work, which can be spared where there is no room now.

        Raises:
            Overloaded: there is neither a place nor room to wait. It counts as one who was sent away.
        """
        with self._lock:
            if self._busy >= self.workers and self._is_full():
                raise self._overloaded("no room to wait")

    def __enter__(self) -> None:
        """Take a place.

        Raises:
            Overloaded: there is none.
        """
        with self._lock:
            if self._busy < self.workers:
                self._busy += 1
                return
            if self._is_full():
                raise self._overloaded("no room to wait")
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=self._wait):
            return
        with self._lock:
            if turn.acquire(blocking=False):  # the place was handed over between the end of the wait and here
                return
            self._waiting.remove(turn)
            raise self._overloaded("waited too long")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hand the place to who waits longest; it is never free in between, so nobody can slip in."""
        with self._lock:
            if self._waiting and self._busy <= self.workers:
                self._waiting.popleft().release()
            else:
                self._busy -= 1

    @contextmanager
    def slot_released(self) -> Iterator[None]:
        """Who holds a place gives it up while it waits for something else, so that others can work meanwhile.

        Afterwards it goes on at once, also where all places are taken by then: it has waited already.
        """
        self.__exit__(None, None, None)
        with self._lock:
            self._released += 1
        try:
            yield
        finally:
            with self._lock:
                self._released -= 1
                self._busy += 1

    def _is_full(self) -> bool:
        """Whether nobody else may wait."""
        return len(self._waiting) >= min(self.queue, self._parked - self._released)

    def _overloaded(self, reason: str) -> Overloaded:
        self._rejected += 1
        now = self._monotonic()
        if self._logged is None or now - self._logged >= LOG_SECONDS:
            self._logged = now
            logger.warning(
                "%s: overloaded: %d at once and %d waiting are the most; %d were sent away so far",
                self.name,
                self.workers,
                self.queue,
                self._rejected,
            )
        return Overloaded(self.name, f"overloaded: {reason}", self._retry_after)
