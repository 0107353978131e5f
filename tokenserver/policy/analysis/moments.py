"""Time independence of tests: the moments at which a test without `at:` is evaluated, and the report if they differ.

Tests run at every load. A test that depends on a rule with `since` or `until` would begin to fail at an unexpected
moment and prevent a restart. So a test without `at:` must have one outcome for all moments, and whether files
load never depends on the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.model import Rule

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""A moment before every `since` and `until` of a policy."""

_A_DAY = timedelta(days=1)


def timed(rules: Iterable[Rule], service: str) -> list[Rule]:
    """The rules about the registry `service` that have `since` or `until`, each once, ordered by id."""
    found = {rule.id: rule for rule in rules if rule.services is None or service in rule.services}
    return [rule for _, rule in sorted(found.items()) if _borders(rule)]


def moments_of(rules: Iterable[Rule]) -> tuple[datetime, ...]:
    """The start of each time span that the rules distinguish, beginning with `EARLIEST`."""
    borders = {border for rule in rules for border in _borders(rule)}
    return (EARLIEST, *sorted(borders - {EARLIEST}))


def turning(rules: Iterable[Rule], moments: Sequence[datetime], holds: Sequence[bool]) -> list[Rule]:
    """The rules that begin or end at a moment at which the outcome changes."""
    turns = {moment for place, moment in enumerate(moments) if place and holds[place] is not holds[place - 1]}
    return [rule for rule in rules if not turns.isdisjoint(_borders(rule))]


def spell_times(moments: Sequence[datetime], holds: Sequence[bool]) -> str:
    """When something holds, in words; `holds` has the outcome for the time span beginning at each moment."""
    starts = [next(iter(stretch)) for _, stretch in groupby(range(len(moments)), lambda place: holds[place])]
    ends = [spell_moment(moments[place]) for place in starts[1:]]
    parts = []
    for place, start in enumerate(starts):
        since = f" from {ends[place - 1]}" if place else ""
        until = f" until {ends[place]}" if place < len(ends) else " on"
        parts.append(f"{'true' if holds[start] else 'false'}{since}{until}")
    return ", ".join(parts)


def example(moments: Sequence[datetime], holds: Sequence[bool]) -> str:
    """A moment at which it holds, close to one at which it does not, as `at:` spells it."""
    start = holds.index(True)
    end = next((place for place in range(start, len(holds)) if not holds[place]), None)
    if end is None:
        return spell_moment(moments[start])
    return spell_moment(moments[end] - min(_A_DAY, moments[end] - moments[start]))


def _borders(rule: Rule) -> list[datetime]:
    condition = rule.condition
    return [] if condition is None else [one for one in (condition.since, condition.until) if one is not None]
