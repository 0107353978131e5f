"""`tokenserver audit search`: the events that meet all conditions."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any

import click

from tokenserver.audit.events import text, texts
from tokenserver.audit.question import AuditQuestion
from tokenserver.cli.audit.options import (
    EventReader,
    action_option,
    condition_options,
    files_argument,
    outcome_option,
    repository_option,
    time_options,
)
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.options import report_faults
from tokenserver.cli.terminal import echo, echo_text

SHOWN = 100
"""Events of a table, unless `--last` says otherwise."""


@click.command("search")
@files_argument
@time_options
@condition_options
@repository_option
@action_option
@outcome_option
@click.option("--event", default="", help="Sort of event: exchange, management, browser_login, device, …")
@click.option("--request-id", default="", help="The events of this request.")
@click.option(
    "--last", type=click.IntRange(1, 1_000_000), help=f"Print this many of the last ones.  [default: {SHOWN}]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, one per line; all, without --last.")
@report_faults
def audit_search(files: tuple[str, ...], last: int | None, as_json: bool, **conditions: Any) -> None:
    """Print the events that meet all conditions. Exit code 0: there are some; 1: there are none.

    With --repository or --action, --outcome granted and denied are about that access: of a request for several
    repositories, one may be granted and another denied.
    """
    question = AuditQuestion(**{name: value for name, value in conditions.items() if value is not None})
    reader = EventReader(files, question)
    if as_json and last is None:
        count = 0
        for event in reader:
            echo_text(json.dumps(event))
            count += 1
        raise SystemExit(OK if count else NO)
    found = _Last(last or SHOWN)
    with progress("searching", reader.spell):
        found.add_all(reader)
    if as_json:
        for event in found.kept:
            echo_text(json.dumps(event))
    elif found.kept:
        echo_text(table(("TIME", "EVENT", "WHO", "FROM", "WHERE", "WHAT", "OUTCOME"), map(_row, found.kept)))
    _print_summary(found, reader)
    raise SystemExit(OK if found.count else NO)


class _Last:
    """The last events of a search, and how many there were."""

    def __init__(self, size: int) -> None:
        self.kept: deque[dict[str, Any]] = deque(maxlen=size)
        self.count = 0

    def add_all(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            self.kept.append(event)
            self.count += 1


def _print_summary(found: _Last, reader: EventReader) -> None:
    if found.count > len(found.kept):
        echo(f"the last {len(found.kept):,} of {found.count:,} events; --last N prints more", err=True)
    elif not found.count:
        echo(f"no event of {reader.read_bytes:,} bytes meets these conditions", err=True)
    if reader.other_lines:
        echo(f"{reader.other_lines:,} lines are no audit events", err=True)


def _row(event: dict[str, Any]) -> tuple[str, ...]:
    who = text(event, "subject") or text(event, "actor") or text(event, "username") or text(event, "owner")
    outcome = text(event, "outcome")
    reason = text(event, "reason")
    return (
        text(event, "time"),
        text(event, "event"),
        who or "anonymous",
        text(event, "client") or "-",
        text(event, "registry") or text(event, "source") or "-",
        _what(event),
        f"{outcome}: {reason}" if reason else outcome or "-",
    )


def _what(event: dict[str, Any]) -> str:
    """What was granted, or asked where nothing was; of other events, the action and what it is about."""
    granted, asked = texts(event, "granted"), texts(event, "asked")
    scopes = granted or asked
    if scopes:
        more = f" and {len(scopes) - 3} more" if len(scopes) > 3 else ""
        return f"{', '.join(scopes[:3])}{more}"
    parts = [text(event, name) for name in ("action", "credential", "robot", "name", "flow", "repository", "tag")]
    return " ".join(part for part in parts if part) or "-"
