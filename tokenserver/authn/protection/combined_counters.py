"""Combines several shared counters: those of all replicas and those of one server's workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenserver.authn.protection.failure_counters import Limits
from tokenserver.authn.protection.throttle import Counted, Standing, Together


class Counters:
    """Several counters as one: any of them can reject a login, and all count it, so that any can take over.

    If the first available one knows the user at this place, it alone decides: failures elsewhere do not count.
    """

    def __init__(self, first: Together, *others: Together) -> None:
        self._counters = (first, *others)

    @property
    def limits(self) -> Limits:
        """See `Together`; so all of its methods."""
        return self._counters[0].limits

    @property
    def note(self) -> str | None:
        return next((one.note for one in self._counters if one.note is not None), None)

    def limit(self, limits: Limits, *, repeat: float) -> None:
        for one in self._counters:
            one.limit(limits, repeat=repeat)

    def was_refused(self, counted: Counted) -> bool:
        return any(one.was_refused(counted) for one in self._counters)

    def standing(self, counted: Counted) -> Standing | None:
        found: list[Standing] = []
        for one in self._counters:
            standing = one.standing(counted)
            if standing is None:
                continue
            found.append(standing)
            if found[0].is_good:
                break
        return _joined(found)

    def failed(self, counted: Counted, *, is_good: bool) -> None:
        for one in self._counters:
            one.failed(counted, is_good=is_good)

    def succeeded(self, counted: Counted) -> None:
        for one in self._counters:
            one.succeeded(counted)


def _joined(standings: Sequence[Standing]) -> Standing | None:
    """Combine the states; the first decides whether the user is known at this place. None if there are none."""
    if len(standings) < 2:
        return standings[0] if standings else None

    def ended() -> None:
        for one in standings:
            one.ended()

    return replace(standings[0], ended=ended, others=tuple(standings[1:]))
