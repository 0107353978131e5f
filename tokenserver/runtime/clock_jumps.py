"""Detects jumps of the wall clock by comparing it with the monotonic clock.

Tokens carry their start and end. After a jump, either the clock is wrong now and registries refuse the new tokens, or
it was wrong before and has been corrected; this process cannot tell which. So the jump is reported, and work that
depends on the time of day waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("tokenserver.clock")

LEEWAY = 60.0
"""Seconds of skew that registries tolerate; a correction of at most this does not count as a jump."""

REMEMBERED_SECONDS = 3600.0
"""How long a jump is reported: by then the longest-lived token from before it has expired."""


def steady_seconds() -> float:
    """Seconds of a clock that cannot be set; if the system supports it, it continues during suspend."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class ClockJumpDetector:
    """`now` is in seconds since the epoch, `monotonic` is like `steady_seconds`. Safe for concurrent use by threads."""

    def __init__(self, *, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = now() - monotonic()
        self._right = self._seen
        """The offset between the two clocks before the jump, if there was one."""
        self._jumped_at: float | None = None

    def jump(self) -> float | None:
        """The seconds by which the clock has jumped within the last hour; None if it has not."""
        with self._lock:
            monotonic = self._monotonic()
            offset = self._now() - monotonic
            moved, self._seen = offset - self._seen, offset
            if self._jumped_at is None and abs(moved) <= LEEWAY:
                self._right = offset  # small corrections are followed
                return None
            if abs(moved) > LEEWAY:
                logger.error("the clock jumped %s by %.0f s", "ahead" if moved > 0 else "back", abs(moved))
                self._jumped_at = monotonic
            jump = offset - self._right
            if abs(jump) <= LEEWAY:
                logger.warning("the clock is back to where it was before the jump")
                self._forget(offset)
                return None
            if self._jumped_at is not None and monotonic - self._jumped_at >= REMEMBERED_SECONDS:
                self._forget(offset)
                return None
            return jump

    @property
    def note(self) -> str | None:
        """One sentence for `/readyz`; None if the clock has not jumped."""
        jump = self.jump()
        if jump is None:
            return None
        way = "ahead" if jump > 0 else "back"
        return (
            f"jumped {way} by {abs(jump):.0f} s; if it was right before, registries refuse tokens until it is"
            " corrected; keys do not rotate meanwhile"
        )

    def _forget(self, offset: float) -> None:
        self._right, self._jumped_at = offset, None
