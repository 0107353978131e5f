"""Reassembly of audit events that were too large for one line and were written in parts.

The parts of an exchange share a request id and can arrive in any order, between other events. Some may be missing, as
at the end of a log or after a full disk. The number of incomplete exchanges is bounded.
"""

from __future__ import annotations

from typing import Any

MAX_WAITING = 256
"""The maximum number of incomplete exchanges; beyond it, the oldest is dropped."""

DIVIDED = ("asked", "granted", "groups")
"""The lists that a decision needs and that are split across the parts; those of `claims` are split as well."""


class UnreadablePart(Exception):
    """A part with a malformed field; the text is the name of the field."""


class EventParts:
    """Collects parts until an exchange is complete."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[dict[str, Any], set[int]]] = {}
        self._dropped = 0

    def whole(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The whole event if this one is not divided or is the last missing part; else None.

        Raises:
            UnreadablePart: it is a part with a malformed field.
        """
        if "part" not in event:
            return event
        number, count, request = event["part"], event.get("parts"), event.get("request_id")
        if type(number) is not int or type(count) is not int or not 0 < number <= count:
            raise UnreadablePart("part")
        if not isinstance(request, str):
            raise UnreadablePart("request_id")
        for name in DIVIDED:
            if not isinstance(event.get(name, []), list):
                raise UnreadablePart(name)
        claims = event.get("claims", {})
        if not isinstance(claims, dict) or not all(isinstance(values, list) for values in claims.values()):
            raise UnreadablePart("claims")
        empty: dict[str, Any] = {**event, **dict.fromkeys(DIVIDED, ()), **({"claims": {}} if claims else {})}
        first, seen = self._waiting.setdefault(request, (empty, set()))
        if number not in seen:
            seen.add(number)
            for name in DIVIDED:
                first[name] = [*first[name], *event.get(name, [])]
            for name, values in claims.items():
                first.setdefault("claims", {}).setdefault(name, []).extend(values)
        if len(seen) == count:
            del self._waiting[request]
            return first
        if len(self._waiting) > MAX_WAITING:
            oldest = next(iter(self._waiting))
            self._dropped += len(self._waiting.pop(oldest)[1])
        return None

    @property
    def lost(self) -> int:
        """How many parts belong to exchanges that are incomplete."""
        return self._dropped + sum(len(seen) for _, seen in self._waiting.values())
