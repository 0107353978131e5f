"""Bulkheads: limits on how much of one kind of work runs concurrently and how much may queue; the rest is rejected."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from tokenserver.errors import Overloaded

logger = logging.getLogger("tokenserver.authn")

LOG_SECONDS = 10.0
"""The minimum time between two log lines about an overload: a line for each rejected caller would add to the load."""


class Bulkhead:
    """A context manager with slots for `workers` concurrent callers and a FIFO queue of `queue` waiting ones.

    A caller that finds the queue full is rejected immediately, one that waits longer than `wait` seconds after that
    time: clients give up after 15 seconds, and work for a client that has left only delays others. Waiting
    callers and those inside `slot_released` each hold a thread; `parked` limits their sum.
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
        # Each waiting caller sleeps on its own lock, which costs less than an event.
        self._waiting: deque[threading.Lock] = deque()
        self._rejected = 0
        self._logged: float | None = None

    @property
    def load(self) -> tuple[int, int]:
        """The number of callers that currently hold a slot, and of those that wait."""
        with self._lock:
            return self._busy, len(self._waiting)

    @property
    def rejected(self) -> int:
        """The number of callers rejected so far."""
        return self._rejected

    def reject_if_full(self) -> None:
        """Reject a caller before it does the work that precedes entering, if it could not enter now.

        Raises:
            Overloaded: all slots are taken and the queue is full. The caller counts as rejected.
        """
        with self._lock:
            if self._busy >= self.workers and self._is_full():
                raise self._overloaded("no room to wait")

    def __enter__(self) -> None:
        """Take a slot, waiting for it if necessary.

        Raises:
            Overloaded: the queue is full, or the wait took too long.
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
            if turn.acquire(blocking=False):  # the slot was handed over between the end of the wait and here
                return
            self._waiting.remove(turn)
            raise self._overloaded("waited too long")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hand the slot to the caller that has waited longest; so no other can jump the queue."""
        with self._lock:
            if self._waiting and self._busy <= self.workers:
                self._waiting.popleft().release()
            else:
                self._busy -= 1

    def slot_released(self) -> AbstractContextManager[None]:
        """Give up the slot while waiting for something else, so that other callers can work.

        Afterwards the caller continues immediately, even if all slots are taken by then: it has waited already.
        """
        return _SlotReleased(self)

    def step_aside(self) -> None:
        """Give up the slot, and hold only a thread. `slot_released` calls it."""
        self.__exit__(None, None, None)
        with self._lock:
            self._released += 1

    def step_back(self) -> None:
        """Continue with a slot. `slot_released` calls it."""
        with self._lock:
            self._released -= 1
            self._busy += 1

    def _is_full(self) -> bool:
        """Whether the queue is full."""
        return len(self._waiting) >= min(self.queue, self._parked - self._released)

    def _overloaded(self, reason: str) -> Overloaded:
        self._rejected += 1
        now = self._monotonic()
        if self._logged is None or now - self._logged >= LOG_SECONDS:
            self._logged = now
            logger.warning(
                "%s: overloaded: limit is %d running and %d queued; %d rejected so far",
                self.name,
                self.workers,
                self.queue,
                self._rejected,
            )
        return Overloaded(self.name, f"overloaded: {reason}", self._retry_after)


class _SlotReleased:
    """A context without the slot; a class, since a generator takes three times as long to enter and to leave."""

    __slots__ = ("_room",)

    def __init__(self, room: Bulkhead) -> None:
        self._room = room

    def __enter__(self) -> None:
        self._room.step_aside()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._room.step_back()
