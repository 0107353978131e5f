"""`tokenserver policy what-can`: lists everything that a principal can do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import click

from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.client.machines import AskedMachine, exit_if_refused, machine_options, require_declared
from tokenserver.cli.policy.client.name_notes import notes_on_principal
from tokenserver.cli.policy.options import (
    asked_principal,
    asked_user,
    circumstances,
    policy_command,
    read_source,
    revision_option,
)
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.policy.administration import administrators_including
from tokenserver.policy.analysis.conditions import ALWAYS, Given, as_facts, spell_condition
from tokenserver.policy.principals import HypotheticalClient, client_for
from tokenserver.policy.queries.what_can import Cut, Reach, spell_pattern, what_can
from tokenserver.policy.queries.why import spell_who
from tokenserver.policy.terms import parse_group, parse_who
from tokenserver.scopes import in_order

_WITH_GROUPS = ("user", "group", "authenticated")


@click.command("what-can")
@click.argument("who", required=False)
@click.option("--group", "groups", multiple=True, help="A group that WHO brings from a directory; repeatable.")
@click.option("--namespace", help="The namespace of a user, where user sources map names.")
@machine_options
@circumstances
@revision_option
@policy_command
def policy_what_can(  # noqa: PLR0917 - click passes options by name
    who: str | None,
    groups: Sequence[str],
    namespace: str | None,
    machine: AskedMachine,
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
    revision: str | None,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """List everything that WHO can do. Exit code 0: something; 1: nothing.

    WHO is user:NAME, group:NAME, robot:NAME, workload:NAME, authenticated, anonymous, robots or workloads; instead of
    WHO, --robot NAME, or --workload SOURCE with the claims of one workload.
    """
    if machine.is_given is (who is not None):
        raise click.UsageError("name one client: WHO, such as group:web, or --robot NAME or --workload SOURCE")
    principal = None if who is None else parse_who(who)
    if groups and (principal is None or principal.sort not in _WITH_GROUPS):
        raise click.UsageError(f"{principal or 'a machine'} brings no group from a directory")
    source = read_source(config, folder, revision)
    given = Given(source.service(service), client, at)
    brought = list(map(parse_group, groups))
    if namespace is not None and (principal is None or principal.sort != "user"):
        raise click.UsageError("--namespace goes with user:NAME")
    identity = machine.identity(source)
    if identity is not None:
        exit_if_refused(source, identity, as_json=as_json)
        asked = HypotheticalClient(identity, source.policies.groups.holding(identity))
        notes, spelled = [], spell_who(identity)
    if principal is not None:
        require_declared(source.policies, principal)
        principal = asked_principal(source.policies, principal)
        if namespace is not None:
            asked_user(source.policies, principal.name, frozenset(brought), namespace)
        asked = client_for(source.policies, principal, brought, namespace)
        notes, spelled = notes_on_principal(source, principal, brought, given.service), str(principal)
    entries = administrators_including(source.policies, asked.identity, asked.groups)
    if entries:
        notes = [*notes, f"{spelled} is an administrator, by {', '.join(map(str, entries))}"]
    found = what_can(source.policies, asked, given)
    source.print_revision()
    for note in notes:
        echo(note, err=True)
    if as_json:
        echo_json([_facts(reach) for reach in found], indent=2)
    elif not found:
        echo(f"{spelled} can do nothing")
    else:
        rows = [
            (
                ",".join(in_order(reach.actions)),
                spell_pattern(reach.rule.resource_type, reach.pattern),
                spell_condition(reach.when),
                f"{reach.rule.id} ({reach.rule.file}:{reach.rule.line})",
                "; ".join([*_spell_without(reach), *map(_spell_cut, reach.cuts)]),
            )
            for reach in found
        ]
        echo_text(table(("actions", "repositories", "when", "rule", "except"), rows))
        if principal is not None and principal.sort == "user" and not groups:
            echo()
            echo("(without groups from a directory; add them with --group)")
    raise SystemExit(OK if found else NO)


def _facts(reach: Reach) -> dict[str, Any]:
    limited = [cut for cut in reach.cuts if cut.when != ALWAYS or cut.without]
    always = [cut.pattern for cut in reach.cuts if cut not in limited]
    return {
        "repositories": spell_pattern(reach.rule.resource_type, reach.pattern),
        "actions": in_order(reach.actions),
        "when": as_facts(reach.when),
        "rule": reach.rule.id,
        "except": sorted({pattern.text for pattern in (*reach.without, *always)}),
        "unless": [_cut_facts(cut) for cut in limited],
    }


def _cut_facts(cut: Cut) -> dict[str, Any]:
    without = {"not": [pattern.text for pattern in cut.without]} if cut.without else {}
    return {"repositories": cut.pattern.text, **without, "when": as_facts(cut.when), "rule": cut.rule.id}


def _spell_without(reach: Reach) -> list[str]:
    return [f"{pattern.text} (not of {reach.rule.id})" for pattern in reach.without]


def _spell_cut(cut: Cut) -> str:
    when = spell_condition(cut.when)
    without = f" without {' and '.join(pattern.text for pattern in cut.without)}" if cut.without else ""
    return f"{cut.pattern.text}{without}" + (f" {when}" if when else "") + f" ({cut.rule.id})"
