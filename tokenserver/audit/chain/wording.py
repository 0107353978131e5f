"""What findings and notes say about numbers and times. Pure."""

from __future__ import annotations

from datetime import datetime

from tokenserver.audit.chain.run import Run


def span(first: int, last: int) -> str:
    """Consecutive numbers, by the first and the last one."""
    return f"number {first:,}" if first == last else f"numbers {first:,} to {last:,}"


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
