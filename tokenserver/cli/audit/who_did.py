"""`tokenserver audit who-did`: who was granted an action on repositories, when, from where, and by which rule."""

from __future__ import annotations

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
from tokenserver.cli.audit.really import few, print_real_deeds, spelled_client
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.options import report_errors
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.scopes import ACTIONS


@click.command("who-did")
@click.argument("action", type=click.Choice(list(ACTIONS)))
@click.argument("repository", metavar="PATTERN")
@files_argument
@time_options
@condition_options
@click.option("--denied", is_flag=True, help="Who was denied it, instead.")
@click.option("--really", is_flag=True, help="Who did it, as registries report it, and by which token.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@report_errors(is_usage=True)
def audit_who_did(  # noqa: PLR0917 - click passes options by name
    action: str, repository: str, files: tuple[str, ...], denied: bool, really: bool, as_json: bool, **conditions: Any
) -> None:
    """List who was granted ACTION on repositories of PATTERN, the last first.

    `tokenserver audit who-did push 'web/prod/**' --since 30d audit.jsonl`. A granted token allows the action until the
    token expires; --really lists who made use of it, if the registry reports to this server. Exit code 1: nobody.
    """
    if really and denied:
        raise click.UsageError("--really and --denied exclude each other: nobody does what was denied")
    outcome = DENIED if denied else GRANTED
    named = {name: value for name, value in conditions.items() if value is not None}
    question = AuditQuestion(
        event="exchange", action=action, repository=parse_repositories(repository), outcome=outcome, **named
    )
    if really:
        raise SystemExit(print_real_deeds(files, question, as_json=as_json))
    reader = EventReader(files, question)
    deeds = Deeds()
    with progress("searching", reader.spell):
        deeds.add_all(question, reader)
    found = deeds.ordered()
    if as_json:
        echo_json({"deeds": [_facts(deed, seen) for deed, seen in found], "not_kept": deeds.not_kept})
    elif found:
        heads = ("WHO", "WHAT", "WHERE", "TIMES", "FIRST", "LAST", "FROM", "RULES")
        echo_text(table(heads, (_row(deed, seen) for deed, seen in found)))
    else:
        echo(f"nobody was {outcome} {action} {repository} in these events", err=True)
    if deeds.not_kept:
        echo(f"{deeds.not_kept:,} more accesses are not listed; narrow the question", err=True)
    raise SystemExit(OK if found else NO)


def _row(deed: Deed, seen: DeedSeen) -> tuple[str, ...]:
    return (
        spelled_client(deed.who, seen),
        deed.what,
        deed.registry,
        f"{seen.count:,}",
        seen.first,
        seen.last,
        few(seen.clients),
        few(seen.rules) or "no rule",
    )


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
