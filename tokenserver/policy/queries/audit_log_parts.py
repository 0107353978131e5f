"""Puts an exchange together again whose audit event was too large for one line and was written in parts.

The parts share a request id, come in any order and between other events, and may be incomplete, as at the end of a log
or where the disk was full. What is waited for is bounded.
"""

from __future__ import annotations

from typing import Any

MAX_WAITING = 256
"""Exchanges whose parts are waited for; the one that is waited for the longest makes room for another."""

DIVIDED = ("asked", "granted", "groups")
"""The lists that stand divided in the parts, as far as a decision needs them."""


class UnreadablePart(Exception):
    """A part that does not say which of which exchange it is; the text is the field."""


class EventParts:
    """The parts that were seen, until all of an exchange are there."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[dict[str, Any], set[int]]] = {}
        self._given_up = 0

    def whole(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The whole event, where this one or this part completes it; else None.

        Raises:
            UnreadablePart: it is a part, and one of its fields is not what it should be.
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
        first, seen = self._waiting.setdefault(request, ({**event, **dict.fromkeys(DIVIDED, ())}, set()))
        if number not in seen:
            seen.add(number)
            for name in DIVIDED:
                first[name] = [*first[name], *event.get(name, [])]
        if len(seen) == count:
            del self._waiting[request]
            return first
        if len(self._waiting) > MAX_WAITING:
            oldest = next(iter(self._waiting))
            self._given_up += len(self._waiting.pop(oldest)[1])
        return None

    @property
    def lost(self) -> int:
        """How many parts were seen whose exchange lacks others."""
        return self._given_up + sum(len(seen) for _, seen in self._waiting.values())
