"""Recurring lines: which lines of a log meet a question, most of them without decoding. Pure.

The server writes the same members for the same ruling again and again; between them only the time, the ids, the
duration and the link of a chain differ. No condition but that of time and request is about these, so of lines that are
the same between them, one is decoded. The answer is that of decoding each: what could make a difference is decoded.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tokenserver.audit.events import event_of
from tokenserver.audit.question import AuditQuestion

MAX_KNOWN = 50_000
"""Texts between the ids that are remembered."""

TRIED = 65_536
"""Lines after which the cache is abandoned if three of four were new: it would cost more than it saves."""

_HEAD = b'{"time":"0000-00-00T00:00:00.000Z","event":"exchange","request_id":"'
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_TIME = slice(len(b'{"time":"'), len(b'{"time":"0000-00-00T00:00:00.000Z'))
_SECOND = slice(0, len("0000-00-00T00:00:00"))

_JTI = b',"jti":"'
_TAIL = re.compile(
    rb',"jti":"[0-9a-zA-Z_-]+","outcome":"([a-z_]+)","ms":(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?'
    rb'(?:,"chain":"[0-9a-zA-Z:+/=_-]*")?}'
)

_OUTSIDE = tuple(b'"%s"' % name for name in (b"time", b"event", b"request_id", b"jti", b"outcome", b"ms", b"chain"))
"""What must not be between: of a member that is there twice, the last one counts."""


class RecurringLines:
    """Finds what meets a question. `other_lines` counts lines without an event."""

    def __init__(self, question: AuditQuestion) -> None:
        self._timeless = replace(question, since=None, until=None)
        self._time = AuditQuestion(since=question.since, until=question.until)
        self._is_timed = question.since is not None or question.until is not None
        self._first, self._last = question.time_bounds()
        self._second = b""
        self._met: dict[tuple[bytes, bytes], bool] = {}
        self._is_worth_it = not question.request_id
        self._new = self._known = 0
        self.other_lines = 0

    def meeting(self, line: bytes) -> dict[str, Any] | bytes | None:
        """The event of a line if it meets the question, or the line if it was not decoded; None if it does not."""
        key = _between(line) if self._is_worth_it else None
        if key is not None:
            is_met = self._met.get(key)
            if is_met is not None:
                self._known += 1
                return line if is_met and self._is_in_time(line[_TIME]) else None
        event = event_of(line)
        if event is None:
            self.other_lines += 1
            return None
        is_met = self._timeless.is_met_by(event)
        if key is not None:
            self._count_new()
        if key is not None and _is_plain(key[0]):
            if len(self._met) >= MAX_KNOWN:
                self._met.clear()
            self._met[key] = is_met
        return event if is_met and self._time.is_met_by(event) else None

    def _count_new(self) -> None:
        self._new += 1
        if self._new + self._known >= TRIED:
            self._is_worth_it = self._new <= 3 * self._known
            self._new = self._known = 0

    def _is_in_time(self, spelled: bytes) -> bool:
        if not self._is_timed:
            return True
        if self._first < spelled < self._last and spelled[_SECOND] == self._second:
            return True
        is_met = self._time.is_met_by({"time": spelled.decode("ascii")})
        if is_met:
            self._second = spelled[_SECOND]  # a moment that exists, as others of this second do
        return is_met


def _between(line: bytes) -> tuple[bytes, bytes] | None:
    """The members of an exchange between the ids, and its outcome; None for a line that is written otherwise."""
    if line[: len(_HEAD)].translate(_DIGITS) != _HEAD:
        return None
    end, tail = line.find(b'"', len(_HEAD)), line.rfind(_JTI)
    if not line[len(_HEAD) : end].isalnum() or line[end : end + 2] != b'",' or tail < end + 2:
        return None
    found = _TAIL.fullmatch(line, tail)
    return None if found is None else (line[end + 2 : tail], found[1])


def _is_plain(between: bytes) -> bool:
    """Whether none of the members outside is there again, under a name that may be escaped."""
    return b"\\" not in between and not any(name in between for name in _OUTSIDE)
