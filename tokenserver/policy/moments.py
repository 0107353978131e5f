"""Tests and time: the moments that a test must hold at, and how one is told that holds at some of them alone.

A test that says no `at:` is asked whenever the policies are loaded. If rules with `since` or `until` decide it, it
turns at a moment that nobody has in mind then, and refuses a start. So it must hold, or fail, at every moment alike;
whether files load does not depend on the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from tokenserver.policy.conditions import spell_moment
from tokenserver.policy.model import Rule

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""A moment before every border of time in a policy."""

_A_DAY = timedelta(days=1)


def timed(rules: Iterable[Rule], service: str) -> list[Rule]:
    """Those of the rules about the registry `service` that hold for a time only, each once, by id."""
    found = {rule.id: rule for rule in rules if rule.services is None or service in rule.services}
    return [rule for _, rule in sorted(found.items()) if _borders(rule)]


def moments_of(rules: Iterable[Rule]) -> tuple[datetime, ...]:
    """A moment out of each stretch of time that the rules tell apart: its beginning, from `EARLIEST` on."""
    borders = {border for rule in rules for border in _borders(rule)}
    return (EARLIEST, *sorted(borders - {EARLIEST}))


def turning(rules: Iterable[Rule], moments: Sequence[datetime], holds: Sequence[bool]) -> list[Rule]:
    """Those of the rules that begin or end where something begins or ceases to hold."""
    turns = {moment for place, moment in enumerate(moments) if place and holds[place] is not holds[place - 1]}
    return [rule for rule in rules if not turns.isdisjoint(_borders(rule))]


def spell_times(moments: Sequence[datetime], holds: Sequence[bool]) -> str:
    """In words, when something holds that does not always: `holds` says so for the stretch from each moment on."""
    starts = [next(iter(stretch)) for _, stretch in groupby(range(len(moments)), lambda place: holds[place])]
    ends = [spell_moment(moments[place]) for place in starts[1:]]
    parts = []
    for place, start in enumerate(starts):
        since = f" from {ends[place - 1]}" if place else ""
        until = f" until {ends[place]}" if place < len(ends) else " on"
        parts.append(f"{'so' if holds[start] else 'not so'}{since}{until}")
    return ", ".join(parts)


def example(moments: Sequence[datetime], holds: Sequence[bool]) -> str:
    """A moment at which it holds, near one where it does not, as a test says it in `at:`."""
    start = holds.index(True)
    end = next((place for place in range(start, len(holds)) if not holds[place]), None)
    if end is None:
        return spell_moment(moments[start])
    return spell_moment(moments[end] - min(_A_DAY, moments[end] - moments[start]))


def _borders(rule: Rule) -> list[datetime]:
    condition = rule.condition
    return [] if condition is None else [one for one in (condition.since, condition.until) if one is not None]
