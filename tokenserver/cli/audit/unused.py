"""`tokenserver audit unused`: rules, machines and secrets that nobody used, and smaller rules that would suffice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.usage import SmallerRule, Usage
from tokenserver.cli.audit.options import EventReader, files_argument, time_options
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.options import policy_command, read_source
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.errors import spell_more

SHOWN = 200


@click.command("unused")
@files_argument
@time_options
@policy_command
def audit_unused(  # noqa: PLR0917 - click passes options by name
    files: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """List what nobody used: allow rules or parts of them, machines, their secrets, and denies that stopped nobody.

    `tokenserver audit unused --since 90d audit*.jsonl*`. What is listed was not used in these events: see that they are
    of all replicas, and reach back as far as your rarest releases. Exit code 0: everything was used; 1: something not.
    """
    with progress("reading policies"):
        policies = read_source(config, folder).policies
    reader = EventReader(files, AuditQuestion(since=since, until=until, event="exchange"))
    usage = Usage(policies)
    with progress("searching", reader.spell):
        for event in reader:
            usage.add(event)
    if not usage.exchanges:
        echo("there is no exchange in these events, so nothing can be said about use", fg="red", err=True)
        raise SystemExit(NO)
    smaller = usage.smaller_rules()
    if as_json:
        echo_json(_facts(usage, smaller))
    else:
        _print(usage, smaller)
    is_all_used = not (smaller or usage.idle_machines() or usage.idle_secrets())
    raise SystemExit(OK if is_all_used else NO)


def _print(usage: Usage, smaller: list[SmallerRule]) -> None:
    if smaller:
        rows = [_row(one) for one in smaller]
        echo_text(table(("RULE", "AT", "USED", "LAST", "WOULD SUFFICE"), rows[:SHOWN]))
        if len(rows) > SHOWN:
            echo(spell_more(len(rows) - SHOWN))
    for machine in usage.idle_machines():
        echo(f"{machine} did not log in")
    for robot, secret in usage.idle_secrets():
        echo(f"secret {secret} of robot:{robot} was not used")
    for rule in usage.idle_denies():
        echo(f"deny {rule.id} ({rule.file}:{rule.line}) stopped nobody")
    echo(f"{usage.exchanges:,} exchanges from {usage.first} to {usage.last}", err=True)


def _row(one: SmallerRule) -> tuple[str, ...]:
    place = f"{one.rule.file}:{one.rule.line}"
    if one.use is None:
        return one.rule.id, place, "never", "-", "no such rule"
    return one.rule.id, place, f"{one.use.count:,} times", one.use.last, "; ".join(_changes(one))


def _changes(one: SmallerRule) -> list[str]:
    said = []
    if one.actions:
        said.append(f"actions: [{', '.join(one.actions)}]")
    if one.unused_principals:
        said.append(f"to: without {', '.join(one.unused_principals)}")
    if one.unused_patterns:
        said.append(f"repositories: without {', '.join(one.unused_patterns)}")
    said += [f"repositories: {tight} in place of {wide}" for wide, tight in one.narrower]
    return said


def _facts(usage: Usage, smaller: list[SmallerRule]) -> dict[str, Any]:
    return {
        "exchanges": usage.exchanges,
        "first": usage.first,
        "last": usage.last,
        "rules": [
            {
                "rule": one.rule.id,
                "at": f"{one.rule.file}:{one.rule.line}",
                "count": 0 if one.use is None else one.use.count,
                "last": None if one.use is None else one.use.last,
                "actions": list(one.actions) or None,
                "unused_to": list(one.unused_principals),
                "unused_repositories": list(one.unused_patterns),
                "narrower": dict(one.narrower),
            }
            for one in smaller
        ],
        "machines": [str(one) for one in usage.idle_machines()],
        "secrets": [{"robot": robot, "credential": secret} for robot, secret in usage.idle_secrets()],
        "idle_denies": [{"rule": rule.id, "at": f"{rule.file}:{rule.line}"} for rule in usage.idle_denies()],
    }
