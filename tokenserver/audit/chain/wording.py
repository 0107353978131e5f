"""What findings and notes say about numbers and times. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tokenserver.audit.chain.run import Run


def span(first: int, last: int) -> str:
    """Consecutive numbers, by the first and the last one."""
    return f"number {first:,}" if first == last else f"numbers {first:,} to {last:,}"


def what_is_there(last: int | None) -> str:
    """What files have of a chain that was longer, by the last number there; None: nothing."""
    return "nothing is" if last is None else f"nothing after number {last:,} is"


def earliest(times: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first of the times of each name, out of pairs of a name and a time (RFC 3339)."""
    found: dict[str, str] = {}
    for name, time in times:
        found[name] = min(time, found.get(name, time))
    return found


def unproven(run: Run) -> str:
    """Which lines of a run without the ones before it no digest in it proves."""
    last = run.claim.number - 1 if run.claim else run.last
    return f", so no digest proves {span(run.first.number, last)}" if last >= run.first.number else ""


def seconds_between(since: str, until: str) -> float:
    """Seconds between two times; none if one cannot be read, since a line with such a time is reported anyway."""
    try:
        return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
