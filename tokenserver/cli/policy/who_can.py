"""`tokenserver policy who-can`: lists the principals that can do an action on a repository."""

from __future__ import annotations

import json
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import click

from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.asked_names import asked_name, chosen_service
from tokenserver.cli.policy.options import (
    Source,
    asked_resource,
    circumstances,
    policy_command,
    read_source,
    revision_option,
)
from tokenserver.cli.table import table
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.queries.who_can import holders
from tokenserver.policy.queries.who_can_report import Roster, roster, spell_conditions


@click.command("who-can")
@click.argument("action")
@click.argument("repository")
@circumstances
@revision_option
@policy_command
def policy_who_can(  # noqa: PLR0917 - click passes options by name
    action: str,
    repository: str,
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
    revision: str | None,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """List who can do ACTION on REPOSITORY, and under which conditions; --from and --at settle some of them.

    REPOSITORY may be an image name as clients print it, such as registry.example.com/web/site:1. Exit code 0: somebody
    can; 1: nobody can.
    """
    source = read_source(config, folder, revision)
    named = asked_name(source, repository, service)
    resource = asked_resource(action, named.name)
    given = Given(chosen_service(source, [named], service), client, at)
    found = roster(source.policies, holders(source.policies, action, resource, given))
    if as_json:
        groups = [one.name for one in found.answers if one.sort == "group"]
        facts = {
            "action": action,
            "repository": named.name,
            **named.facts(),
            **source.revision_facts(),
            **found.facts(),
        }
        facts["members"] = {shown_name(name): _members(source.policies, name) for name in groups}
        echo_text(json.dumps(facts, indent=2))
    else:
        source.print_revision()
        named.print_note()
        if found.answers:
            _print(source, found)
        else:
            echo(f"nobody can {action} {named.name}")
    raise SystemExit(OK if found.answers else NO)


def _print(source: Source, found: Roster) -> None:
    rows = []
    for principal, answer in found.answers.items():
        conditions = [""] if answer is True else [spell_conditions(one) for one in answer or ()]
        rows += [(str(principal), one, _spell_members(source.policies, principal)) for one in conditions]
    echo_text(table(("who", "when", "members"), rows))
    if found.excepted:
        echo()
        echo(f"but never {' or '.join(map(str, found.excepted))}")
    if any(one.sort == "anonymous" for one in found.answers) and source.settings and not source.settings.anonymous:
        echo()
        echo("(the configuration has anonymous: false, so clients that do not log in get nothing)")


def _members(policies: PolicySet, name: str) -> dict[str, list[str]]:
    """The members of a group that the policy files name; those of a directory's group are unknown here."""
    group = policies.groups.by_name.get(name)
    if group is None:
        return {"users": [], "groups": [name]}
    return {"users": sorted(group.users), "groups": sorted(group.groups)}


def _spell_members(policies: PolicySet, principal: Principal) -> str:
    if principal.sort != "group":
        return ""
    members = _members(policies, principal.name)
    directory = [f"all of the directory's {name}" for name in members["groups"]]
    return ", ".join([*members["users"], *directory])
