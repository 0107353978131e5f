"""Whether the shadow peer is asked now: it gets a pause after failures in a row, or if it refuses login after login.

A peer that is down costs a question every `PAUSE_SECONDS`. One that refuses everybody is asked more rarely still, since
each question is a failed login there, and directories lock accounts after some of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tokenserver.exchange.peer.shared_keys import SharedKeys

logger = logging.getLogger("tokenserver.shadow_peer")

FAILURES = 3
"""Questions in a row without a usable answer."""

PAUSE_SECONDS = 30.0

REFUSALS = 10
"""Logins in a row that are right here and refused there."""

REFUSED_SECONDS = 600.0


REMIND_SECONDS = 3600.0
"""How long no other worker writes the same line."""

_PAUSED, _ANSWERS = "log\npaused", "log\nanswers"


class Reachability:
    """The state of the peer at `url`, as one worker knows it. `monotonic` gives seconds. Thread-safe.

    `together` is what the workers share: one of them writes the lines of the log.
    """

    def __init__(self, url: str, *, monotonic: Callable[[], float], together: SharedKeys) -> None:
        self._url = url
        self._together = together
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
        if not self._is_reported and self._is_first(_PAUSED, after=_ANSWERS):
            logger.warning("the shadow peer %s %s", self._url, problem)
        self._is_reported, self._due = True, self._monotonic() + seconds

    def _resume(self) -> None:
        if self._is_reported and self._is_first(_ANSWERS, after=_PAUSED):
            logger.warning("the shadow peer %s answers again", self._url)
        self._is_reported, self._due = False, None

    def _is_first(self, line: str, *, after: str) -> bool:
        """Whether no other worker has written the line since the one that it follows."""
        self._together.discard(after)
        return self._together.add(line, self._monotonic(), REMIND_SECONDS)
