"""`tokenserver policy who-can`: lists the principals that can do an action on a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import click

from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.asked_names import AskedName, asked_name, asked_pattern, chosen_service
from tokenserver.cli.policy.options import (
    Source,
    asked_resource,
    circumstances,
    policy_command,
    read_source,
    revision_option,
)
from tokenserver.cli.policy.who_can_below import groups_in, holdings_as_facts, spell_holdings
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.documents.hints import nearest
from tokenserver.patterns import SegmentKind, parse_pattern
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.model import PolicySet
from tokenserver.policy.queries.who_can import holders
from tokenserver.policy.queries.who_can_below import holders_of_all, holdings
from tokenserver.policy.queries.who_can_report import members_of, roster, spell_conditions, spell_members
from tokenserver.scopes import REPOSITORY_ACTIONS


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

    REPOSITORY may be an image name as clients print it, such as registry.example.com/web/site:1. It may also be a
    pattern, such as 'web/prod/**', to list who can do it anywhere below, and where. Exit code 0: somebody can; 1:
    nobody can.
    """
    source = read_source(config, folder, revision)
    answer = ask_who_can(source, action, repository, service, client, at)
    if as_json:
        echo_json({**answer.all_facts(action), **source.revision_facts()}, indent=2)
    else:
        source.print_revision()
        answer.print(source, action)
    raise SystemExit(OK if answer.text else NO)


@dataclass(frozen=True, slots=True)
class AskedWhoCan:
    """Who can do it: as JSON, and as text, which is empty for nobody. `is_pattern`: on some repository of a pattern."""

    named: AskedName
    facts: Mapping[str, Any]
    text: str
    is_pattern: bool

    def all_facts(self, action: str) -> dict[str, Any]:
        """The question and the answer as JSON."""
        return {"action": action, "repository": self.named.name, **self.named.facts(), **self.facts}

    def print(self, source: Source, action: str) -> None:
        """Print it for people."""
        self.named.print_note()
        within = "anything in " if self.is_pattern else ""
        echo_text(self.text or f"nobody can {action} {within}{self.named.name}")
        is_closed = source.settings is not None and not source.settings.anonymous
        if self.text and is_closed and self.facts.get("anonymous", False):
            echo()
            echo("(the configuration has anonymous: false, so clients that do not log in get nothing)")


def ask_who_can(  # noqa: PLR0917 - as the command
    source: Source,
    action: str,
    repository: str,
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
) -> AskedWhoCan:
    """The answer about a repository or a pattern; see the command.

    Raises:
        TokenserverError: no such action, or no such name.
        click.UsageError: the registry is unknown, or left out although policies differ.
    """
    is_pattern = "*" in repository or "${" in repository
    named = (asked_pattern if is_pattern else asked_name)(source, repository, service)
    given = Given(chosen_service(source, [named], service), client, at)
    facts, text = (_below if is_pattern else _on_one)(source.policies, action, named.name, given)
    return AskedWhoCan(named, facts, text, is_pattern)


def _on_one(policies: PolicySet, action: str, name: str, given: Given) -> tuple[dict[str, Any], str]:
    """The answer about one repository: as JSON, and as text, which is empty for nobody."""
    found = roster(policies, holders(policies, action, asked_resource(action, name), given))
    groups = [one.name for one in found.answers if one.sort == "group"]
    facts = {**found.facts(), "members": {shown_name(group): members_of(policies, group) for group in groups}}
    rows = []
    for principal, answer in found.answers.items():
        conditions = [""] if answer is True else [spell_conditions(one) for one in answer or ()]
        rows += [(str(principal), one, spell_members(policies, principal)) for one in conditions]
    excepted = f"\n\nbut never {' or '.join(map(str, found.excepted))}" if found.excepted else ""
    return facts, table(("who", "when", "members"), rows) + excepted if rows else ""


def _below(policies: PolicySet, action: str, text: str, given: Given) -> tuple[dict[str, Any], str]:
    """The answer about all that a pattern covers, as `_on_one`."""
    asked = parse_pattern(text)
    if asked.uses(SegmentKind.USER) or asked.uses(SegmentKind.GROUP):
        raise click.UsageError(f"{text!r}: a question has no variables; fix: write * instead")
    if action not in REPOSITORY_ACTIONS:
        raise click.UsageError(f"unknown action {action!r}; {nearest(action, REPOSITORY_ACTIONS)}")
    found = holdings(policies, action, asked, given)
    facts = holdings_as_facts(policies, found, holders_of_all(policies, asked, found))
    facts["members"] = {shown_name(group): members_of(policies, group) for group in groups_in(found)}
    return facts, spell_holdings(policies, found, partial(spell_members, policies)) if found else ""
