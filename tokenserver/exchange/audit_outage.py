"""Outages of the audit trail: since when, how many events are missing, and what the log and `/readyz` report.

An outage ends with the first event that is written. The missing events are then reported in an event of their own
(`audit_gap`), so that the trail itself shows where it has a gap.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenserver.exchange.audit_events import spell_time

logger = logging.getLogger("tokenserver.audit")

LOG_SECONDS = 10.0

_REASONS = {
    errno.ETIMEDOUT: "its reader does not read",
    errno.EPIPE: "its reader is gone",
    errno.EBUSY: "another worker is blocked while it writes",
}


def reason_of_errno(error: int) -> str:
    """An errno, as a reason why the trail takes no events."""
    return _REASONS.get(error) or os.strerror(error)


@dataclass(slots=True)
class _Gap:
    since: float
    error: int
    events: int = 0


class Outage:
    """The outage as one process sees it. `now` gives seconds since the epoch, `monotonic` seconds for rate limits."""

    def __init__(self, *, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._gap: _Gap | None = None
        self.is_on = False  # read for every event
        self._logged: float | None = None

    @property
    def error(self) -> int:
        """Why no events are written, as an errno; 0 while they are."""
        gap = self._gap
        return gap.error if self.is_on and gap is not None else 0

    def failed(self, error: int, *, events: int = 1) -> None:
        """Record that events could not be written, because of `error` (an errno). Logged at most every ten seconds."""
        with self._lock:
            if self._gap is None:
                self._gap = _Gap(self._now(), error)
            self._gap.error = error
            self.is_on = True
            self._gap.events += events
            now = self._monotonic()
            if self._logged is not None and now - self._logged < LOG_SECONDS:
                return
            self._logged = now
        logger.critical(
            "the audit trail (standard output) takes no events: %s; token requests get 503 until it does; "
            "fix: restart its reader, or free space where it is written",
            reason_of_errno(error),
        )

    def succeeded(self) -> None:
        """Record that an event was written."""
        self.is_on = False

    def gap(self) -> dict[str, Any] | None:
        """The event about the missing ones; None if none are missing."""
        with self._lock:
            gap = self._gap
            if gap is None:
                return None
            return {
                "event": "audit_gap",
                "since": spell_time(gap.since),
                "events": gap.events,
                "reason": reason_of_errno(gap.error),
            }

    def reported(self, gap: dict[str, Any]) -> None:
        """Record that the event `gap` was written: the outage is over, except for what failed since `gap` was built."""
        with self._lock:
            if self._gap is not None:
                self._gap.events -= gap["events"]
                if not self._gap.events:
                    self._gap = self._logged = None
                    self.is_on = False
        logger.warning(
            "the audit trail takes events again; %d events were lost, and their requests got 503",
            gap["events"],
        )
