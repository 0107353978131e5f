"""Whether the shadow peer is asked now: it gets a pause after failures in a row, or if it refuses login after login.

A peer that is down costs a question every `PAUSE_SECONDS`. One that refuses everybody is asked more rarely still, since
each question is a failed login there, and directories lock accounts after some of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger("tokenserver.shadow_peer")

FAILURES = 3
"""Questions in a row without a usable answer."""

PAUSE_SECONDS = 30.0

REFUSALS = 10
"""Logins in a row that are right here and refused there."""

REFUSED_SECONDS = 600.0


class Reachability:
    """The state of the peer at `url`. `monotonic` gives seconds. Thread-safe."""

    def __init__(self, url: str, *, monotonic: Callable[[], float]) -> None:
        self._url = url
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._refusals = 0
        self._is_reported = False
        self._due: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether a question may be admitted. Takes no lock, since requests call it."""
        due = self._due
        return due is None or now >= due

    def admit(self) -> bool:
        """Whether to ask now. During a pause one question tries the peer when it is due, and all others are dropped."""
        with self._lock:
            if self._due is None:
                return True
            now = self._monotonic()
            if now < self._due:
                return False
            self._due = now + PAUSE_SECONDS
            return True

    def failed(self, reason: str) -> None:
        """There was no usable answer."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                self._pause(PAUSE_SECONDS, f"cannot be asked: {reason}; it is tried every {PAUSE_SECONDS:g} s")

    def refused(self) -> None:
        """It refused a login that is right here."""
        with self._lock:
            self._failures = 0
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self._pause(
                    REFUSED_SECONDS,
                    f"refused {REFUSALS} logins in a row that are right here; it is tried every {REFUSED_SECONDS:g} s,"
                    " so that no account is locked there; fix: check that it has the same users",
                )
            else:
                self._resume()

    def answered(self, *, is_login: bool) -> None:
        """It gave a usable answer other than such a refusal; `is_login`: it accepted a login."""
        with self._lock:
            self._failures = 0
            if is_login:
                self._refusals = 0
            if self._refusals < REFUSALS:
                self._resume()

    def _pause(self, seconds: float, problem: str) -> None:
        if not self._is_reported:
            logger.warning("the shadow peer %s %s", self._url, problem)
        self._is_reported, self._due = True, self._monotonic() + seconds

    def _resume(self) -> None:
        if self._is_reported:
            logger.warning("the shadow peer %s answers again", self._url)
        self._is_reported, self._due = False, None
