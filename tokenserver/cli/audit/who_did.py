"""`tokenserver audit who-did`: who was granted an action on repositories, when, from where, and by which rule."""

from __future__ import annotations

import json
from typing import Any

import click

from tokenserver.audit.deeds import Deed, Deeds, DeedSeen
from tokenserver.audit.question import DENIED, GRANTED, AuditQuestion
from tokenserver.cli.audit.options import (
    EventReader,
    condition_options,
    files_argument,
    parse_repositories,
    time_options,
)
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.options import report_errors
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.scopes import ACTIONS

_SHOWN_OF_DEED = 3


@click.command("who-did")
@click.argument("action", type=click.Choice(list(ACTIONS)))
@click.argument("repository", metavar="PATTERN")
@files_argument
@time_options
@condition_options
@click.option("--denied", is_flag=True, help="Who was denied it, instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@report_errors(is_usage=True)
def audit_who_did(
    action: str, repository: str, files: tuple[str, ...], denied: bool, as_json: bool, **conditions: Any
) -> None:
    """List who was granted ACTION on repositories of PATTERN, the last first.

    `tokenserver audit who-did push 'web/prod/**' --since 30d audit.jsonl`. A granted token allows the action until the
    token expires; whether the client made use of it is in the registry's own log. Exit code 1: nobody.
    """
    outcome = DENIED if denied else GRANTED
    named = {name: value for name, value in conditions.items() if value is not None}
    question = AuditQuestion(
        event="exchange", action=action, repository=parse_repositories(repository), outcome=outcome, **named
    )
    reader = EventReader(files, question)
    deeds = Deeds()
    with progress("searching", reader.spell):
        deeds.add_all(question, reader)
    found = deeds.ordered()
    if as_json:
        echo_text(json.dumps({"deeds": [_facts(deed, seen) for deed, seen in found], "not_kept": deeds.not_kept}))
    elif found:
        heads = ("WHO", "WHAT", "WHERE", "TIMES", "FIRST", "LAST", "FROM", "RULES")
        echo_text(table(heads, (_row(deed, seen) for deed, seen in found)))
    else:
        echo(f"nobody was {outcome} {action} {repository} in these events", err=True)
    if deeds.not_kept:
        echo(f"{deeds.not_kept:,} more accesses are not listed; narrow the question", err=True)
    raise SystemExit(OK if found else NO)


def _row(deed: Deed, seen: DeedSeen) -> tuple[str, ...]:
    who = deed.who or "anonymous"
    workloads = f" ({', '.join(seen.workloads)})" if seen.workloads else ""
    credential = f" by key {', '.join(seen.credentials)}" if seen.credentials else ""
    return (
        f"{who}{workloads}{credential}",
        deed.what,
        deed.registry,
        f"{seen.count:,}",
        seen.first,
        seen.last,
        _few(seen.clients),
        _few(seen.rules) or "no rule",
    )


def _few(named: dict[str, None]) -> str:
    names = list(named)
    more = f" and {len(names) - _SHOWN_OF_DEED} more" if len(names) > _SHOWN_OF_DEED else ""
    return f"{', '.join(names[:_SHOWN_OF_DEED])}{more}"


def _facts(deed: Deed, seen: DeedSeen) -> dict[str, Any]:
    return {
        "subject": deed.who,
        "what": deed.what,
        "registry": deed.registry,
        "outcome": deed.outcome,
        "count": seen.count,
        "first": seen.first,
        "last": seen.last,
        "clients": list(seen.clients),
        "credentials": list(seen.credentials),
        "workloads": list(seen.workloads),
        "rules": list(seen.rules),
    }
