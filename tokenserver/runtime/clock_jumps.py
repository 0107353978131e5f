"""Notices when the clock of this machine is moved, by the clock that nobody can move.

Tokens say when they begin and end. A clock that was moved makes tokens that registries refuse, or it was wrong before
and is right now: nobody here can tell which. So it is told, and what depends on the time of day waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("tokenserver.clock")

LEEWAY = 60.0
"""Seconds that registries bear; slower corrections than this in one go are none that matter."""

REMEMBERED_SECONDS = 3600.0
"""How long a jump is told: the longest token from before it is over then."""


def steady_seconds() -> float:
    """Seconds that go on whatever happens to the time of day, also while the machine sleeps, where the system can."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Clock:
    """`now` gives seconds since the epoch, `monotonic` as `steady_seconds`. Many threads may ask at once."""

    def __init__(self, *, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = now() - monotonic()
        self._right = self._seen
        """What lay between the two clocks before the jump, if there was one."""
        self._jumped_at: float | None = None

    def jump(self) -> float | None:
        """By how many seconds the clock is off from where it was an hour ago at most; None where it is not."""
        with self._lock:
            monotonic = self._monotonic()
            offset = self._now() - monotonic
            moved, self._seen = offset - self._seen, offset
            if self._jumped_at is None and abs(moved) <= LEEWAY:
                self._right = offset  # small corrections are followed
                return None
            if abs(moved) > LEEWAY:
                logger.error("the clock went %s by %.0f s in one go", "ahead" if moved > 0 else "back", abs(moved))
                self._jumped_at = monotonic
            jump = offset - self._right
            if abs(jump) <= LEEWAY:
                logger.warning("the clock is back where it was")
                self._forget(offset)
                return None
            if self._jumped_at is not None and monotonic - self._jumped_at >= REMEMBERED_SECONDS:
                self._forget(offset)
                return None
            return jump

    @property
    def note(self) -> str | None:
        """One sentence for `/readyz`, None where the clock is as it was."""
        jump = self.jump()
        if jump is None:
            return None
        way = "ahead" if jump > 0 else "back"
        return (
            f"went {way} by {abs(jump):.0f} s; if it was right before, registries refuse tokens until it is right"
            " again; keys do not rotate meanwhile"
        )

    def _forget(self, offset: float) -> None:
        self._right, self._jumped_at = offset, None
