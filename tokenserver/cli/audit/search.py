"""`tokenserver audit search`: the events that meet all conditions."""

from __future__ import annotations

from typing import Any

import click

from tokenserver.audit.events import text, texts
from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.store.reader import FoundEvents
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
from tokenserver.cli.terminal import echo, echo_json, echo_text

CHANGE = "change"
"""The value of `event` of what came into force; see `server.changes`."""

_KINDS_OF_CHANGE = ("added", "activated", "changed", "retired", "removed", "dropped", "keys")

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
            echo_json(event)
            count += 1
        raise SystemExit(OK if count else NO)
    with progress("searching", reader.spell):
        found = reader.last(last or SHOWN)
    if as_json:
        for event in found.last:
            echo_json(event)
    elif found.last:
        echo_text(table(("TIME", "EVENT", "WHO", "FROM", "WHERE", "WHAT", "OUTCOME"), map(_row, found.last)))
    _print_summary(found, reader)
    raise SystemExit(OK if found.count else NO)


def _print_summary(found: FoundEvents, reader: EventReader) -> None:
    if found.count > len(found.last):
        echo(f"the last {len(found.last):,} of {found.count:,} events; --last N prints more", err=True)
    elif not found.count:
        echo(f"no event of {reader.spell_all()} meets these conditions", err=True)
    if reader.other_lines:
        echo(f"{reader.other_lines:,} lines are no audit events", err=True)


def _row(event: dict[str, Any]) -> tuple[str, ...]:
    who = text(event, "subject") or text(event, "actor") or text(event, "username") or text(event, "owner")
    outcome = text(event, "outcome")
    reason = text(event, "reason") or next(iter(texts(event, "problems")), "")
    if text(event, "event") == CHANGE:
        who = who or "-"
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
    if text(event, "event") == CHANGE:
        return _changed(event)
    granted, asked = texts(event, "granted"), texts(event, "asked")
    scopes = granted or asked
    if scopes:
        more = f" and {len(scopes) - 3} more" if len(scopes) > 3 else ""
        return f"{', '.join(scopes[:3])}{more}"
    parts = [text(event, name) for name in ("action", "credential", "robot", "name", "flow", "repository", "tag")]
    return " ".join(part for part in parts if part) or "-"


def _changed(event: dict[str, Any]) -> str:
    """What came into force, or did not: of which kind, the names, the digests and the commit."""
    named = [f"{kind} {_few(texts(event, kind))}" for kind in _KINDS_OF_CHANGE if texts(event, kind)]
    old, new = text(event, "old")[:12], text(event, "new")[:12] or text(event, "in_force")[:12]
    digests = f"{old} to {new}" if old and old != new else new
    commit = text(event, "revision")[:12]
    dirty = ", with changes" if event.get("clean") is False else ""
    rejected = "rejected " if text(event, "outcome") == "rejected" else ""
    parts = [*named, digests, f"{rejected}commit {commit}{dirty}" if commit else ""]
    listed = "; ".join(part for part in parts if part)
    return " ".join(part for part in (text(event, "what"), text(event, "name")) if part) + (
        f": {listed}" if listed else ""
    )


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
