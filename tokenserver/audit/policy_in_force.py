"""The policies that were in force at a moment, by the digests that events have. Pure.

Each exchange has the digest of the policies that decided it. Workers and replicas load a change within a second or so
of each other, so near a change events with different digests lie side by side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tokenserver.audit.candidates import time_of
from tokenserver.audit.events import event_of, text
from tokenserver.audit.question import moment_of, spell_moment

NEAR = timedelta(seconds=60)
"""Other policies that events name this close to the moment are reported."""

MAX_POLICIES = 1000
"""Digests that are reported."""

NEEDLE = b"policy"
"""What each line with a digest contains, however it is wrapped."""

_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_MEMBER = re.compile(rb'"policy":"([0-9a-f]{64})"')


@dataclass(slots=True)
class Sighting:
    """The events near the moment that name a digest: the times of the first and the last, and how many."""

    first: str
    last: str
    count: int = 0


class PoliciesNear:
    """Finds the digest of the last event up to `moment`, and the others near it. Events can come in any order."""

    def __init__(self, moment: datetime) -> None:
        self._moment = spell_moment(moment)
        self._from, self._to = spell_moment(_moved(moment, -NEAR)), spell_moment(_moved(moment, NEAR))
        self._near: dict[str, Sighting] = {}
        self.before: tuple[str, str] | None = None
        """The time and the digest of the last event up to the moment."""
        self.after: tuple[str, str] | None = None
        """Those of the first event after it."""

    def add_line(self, line: bytes) -> None:
        """Take a line of a log into account."""
        moment = time_of(line)
        if moment is not None and _TIME.fullmatch(moment) is not None:
            spelled = moment.decode("ascii")
            if not self._can_matter(spelled):
                return
            found = _MEMBER.findall(line)
            if len(found) == 1:  # in place of decoding: a quote inside of a text is escaped, so this is a member
                self.add(spelled, found[0].decode("ascii"))
                return
        event = event_of(line)
        if event is None:
            return
        when, digest = moment_of(event), text(event, "policy")
        if when is not None and digest:
            self.add(spell_moment(when), digest)

    def add(self, moment: str, digest: str) -> None:
        """Take an event of this time, in milliseconds, into account."""
        self.note(moment, digest)
        if self._from <= moment <= self._to:
            self.see(digest, moment, moment, 1)

    def note(self, moment: str, digest: str) -> None:
        """As `add`, for what was in force; events near the moment are not counted."""
        if moment <= self._moment:
            if self.before is None or moment >= self.before[0]:
                self.before = (moment, digest)
        elif self.after is None or moment < self.after[0]:
            self.after = (moment, digest)

    def see(self, digest: str, first: str, last: str, count: int) -> None:
        """Count events near the moment that name this digest: the times of the first and the last, and how many."""
        if digest in self._near or len(self._near) < MAX_POLICIES:
            seen = self._near.setdefault(digest, Sighting(first, last))
            seen.first, seen.last = min(seen.first, first), max(seen.last, last)
            seen.count += count

    def others(self, digest: str) -> dict[str, Sighting]:
        """The digests near the moment besides this one, in the order in which they were first seen."""
        found = sorted(self._near.items(), key=lambda one: (one[1].first, one[0]))
        return {other: seen for other, seen in found if other != digest}

    def _can_matter(self, moment: str) -> bool:
        """Whether an event of this time changes anything; a log has millions of others."""
        if self._from <= moment <= self._to:
            return True
        if moment < self._from:
            return self.before is None or moment >= self.before[0]
        return self.before is None and (self.after is None or moment < self.after[0])


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return moment.astimezone(UTC)
