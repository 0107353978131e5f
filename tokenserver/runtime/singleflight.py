"""Single flight: concurrent identical calls run once and share the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tokenserver.errors import Overloaded

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Flight(Generic[_Answer]):
    """`landed` is made by the first that waits: usually nobody does, and an event takes as long as a fast check."""

    landed: threading.Event | None = None
    answer: _Answer | None = None
    error: BaseException | None = None


class SingleFlight(Generic[_Answer]):
    """Runs a check once for all callers that ask for it while it runs; an error is shared like an answer.

    `followers` limits how many callers may wait at a time, over all checks: each of them holds a thread of the server.
    `seconds` is how long one of them waits.
    """

    def __init__(self, *, followers: int, seconds: float) -> None:
        self._free = followers
        self._seconds = seconds
        self._flights: dict[bytes, _Flight[_Answer]] = {}
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether any check is under way."""
        return bool(self._flights)

    def is_under_way(self, key: bytes) -> bool:
        """Whether a check with this key is under way, so that a caller would wait for it."""
        return key in self._flights

    def run(self, key: bytes, check: Callable[[], _Answer]) -> _Answer:
        """The answer of `check`, or of the same check if it is under way.

        Raises:
            Overloaded: too many callers are waiting, or the check takes too long.
            Exception: any error of the check.
        """
        landed = None
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = _Flight()
            elif self._free <= 0:
                raise Overloaded("logins", "too many requests wait for the same login", 1)
            else:
                self._free -= 1
                landed = flight.landed = flight.landed or threading.Event()
        return self._lead(key, flight, check) if landed is None else self._follow(flight, landed)

    def _lead(self, key: bytes, flight: _Flight[_Answer], check: Callable[[], _Answer]) -> _Answer:
        try:
            flight.answer = check()
        except BaseException as error:
            flight.error = error
            raise
        else:
            return flight.answer
        finally:
            with self._lock:
                del self._flights[key]
                landed = flight.landed  # nobody can follow any more
            if landed is not None:
                landed.set()

    def _follow(self, flight: _Flight[_Answer], landed: threading.Event) -> _Answer:
        try:
            has_landed = landed.wait(self._seconds)
        finally:
            with self._lock:
                self._free += 1
        if not has_landed:
            raise Overloaded("logins", "the check of the same login takes too long", 1)
        if flight.error is not None:
            # A single exception object raised in several threads would collect all of their tracebacks.
            raise copied(flight.error)
        return flight.answer  # type: ignore[return-value]  # landed without an error: the answer is there


def copied(error: BaseException) -> BaseException:
    """A copy of the error without the traceback of the thread that raised it."""
    fresh = error.__class__.__new__(error.__class__, *error.args)
    fresh.args = error.args
    fresh.__dict__.update(error.__dict__)
    return fresh
