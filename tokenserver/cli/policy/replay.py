"""`tokenserver policy replay`: re-evaluates the requests of an audit log, and shows the decisions that change."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tokenserver.audit.events import event_of
from tokenserver.audit.log_files import LogReader
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.options import parsed, policy_command, read_source
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.identity import Sort
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.queries.replay_audit_log import Report, RulingChange, SeenCases, replay, spell_actions
from tokenserver.policy.terms import parse_moment
from tokenserver.scopes import in_order


@click.command("replay")
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--now", callback=parsed(parse_moment), help="Decide as of this time.  [default: the time of each event]")
@policy_command
def policy_replay(
    files: tuple[str, ...], now: datetime | None, config: Path | None, folder: Path | None, as_json: bool
) -> None:
    """Re-evaluate the requests of audit logs (- for standard input), and show the decisions that would change.

    `tokenserver policy replay audit.jsonl --policies candidate/`. Files may be compressed by gzip or Zstandard, and
    lines wrapped by others, as for `tokenserver audit`. Exit code 0: no change; 1: changes.
    """
    with progress("reading policies"):
        source = read_source(config, folder)
    log = LogReader(files)
    with progress("deciding again", log.spell):
        report = replay(source.policies, log.lines(), now=now, unwrapped=event_of)
    found = sorted(report.changes.items(), key=_order)
    if as_json:
        echo_json(_facts(report, found))
    else:
        _print(report, found)
    raise SystemExit(NO if report.changed else OK)


def _order(item: tuple[RulingChange, SeenCases]) -> tuple[Any, ...]:
    change, seen = item
    claims = () if change.machine is None else sorted(change.machine.claims)
    who = change.subject, change.registry, change.resource, sorted(change.groups), claims
    return -seen.count, *who, sorted(change.gained)


def _print(report: Report, found: list[tuple[RulingChange, SeenCases]]) -> None:
    if found:
        heads = ("TIMES", "WHO", "GAINS", "LOSES", "WHERE", "LAST", "RULES NOW")
        echo_text(table(heads, (_row(change, seen) for change, seen in found)))
    if report.not_kept:
        echo(f"{report.not_kept} more decisions would change; these are too many to list")
    echo(f"{report.changed} of {report.decisions} decisions in {report.exchanges} exchanges would change", err=True)
    for reason, count in sorted(report.skipped.items()):
        echo(f"left out: {count} x {reason}", err=True)


def _row(change: RulingChange, seen: SeenCases) -> tuple[str, ...]:
    who = _printable(change.subject) or "anonymous"
    groups = f" ({', '.join(map(_printable, sorted(change.groups)))})" if change.groups else ""
    name = change.resource.name if change.resource.type == "repository" else str(change.resource)
    gained, lost = spell_actions(change.gained) or "-", spell_actions(change.lost) or "-"
    where = f"{_printable(change.registry)} {name}"
    return str(seen.count), who + groups, gained, lost, where, spell_moment(seen.last), ", ".join(seen.rules) or "none"


def _client(change: RulingChange) -> str | dict[str, Any]:
    """The client in the form of `as:` in a test."""
    machine = change.machine
    if machine is None:
        return {"user": change.subject, "groups": sorted(change.groups)} if change.subject else "anonymous"
    if machine.sort is Sort.ROBOT:
        return {"robot": robot_of(machine.subject)}
    claims: dict[str, list[str]] = {}
    for name, value in sorted(machine.claims):
        claims.setdefault(name, []).append(value)
    return {"workload": {"from": machine.source, "claims": claims}, "subject": change.subject}


def _printable(text: str) -> str:
    """Text from the log, which may hold anything, made safe to print."""
    return text if text.isprintable() else ascii(text)


def _facts(report: Report, found: list[tuple[RulingChange, SeenCases]]) -> dict[str, Any]:
    return {
        "exchanges": report.exchanges,
        "decisions": report.decisions,
        "changed": report.changed,
        "changes": [
            {
                "as": _client(change),
                "registry": change.registry,
                "resource": str(change.resource),
                "gained": in_order(change.gained),
                "lost": in_order(change.lost),
                "count": seen.count,
                "first": spell_moment(seen.first),
                "last": spell_moment(seen.last),
                "rules": list(seen.rules),
            }
            for change, seen in found
        ],
        "not_listed": report.not_kept,
        "skipped": dict(sorted(report.skipped.items())),
    }
