"""`tokenserver audit who-could`: who could have done an action at a moment, by the policies that were in force."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import click

from tokenserver.audit.log_files import LogReader
from tokenserver.audit.policy_in_force import NEEDLE, PoliciesNear
from tokenserver.audit.question import spell_moment
from tokenserver.audit.store.reader import open_events
from tokenserver.cli.audit.options import chosen_store, files_argument, files_or_input
from tokenserver.cli.audit.past_policies import PastPlaces, past_places, settings_here
from tokenserver.cli.console.progress import progress
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.options import config_option, report_errors
from tokenserver.cli.policy.options import Source, parsed
from tokenserver.cli.policy.who_can import AskedWhoCan, ask_who_can
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.policy.history.past_policies import PastPolicies
from tokenserver.policy.terms import parse_address, parse_moment

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")


@click.command("who-could")
@click.argument("action")
@click.argument("repository", metavar="PATTERN")
@files_argument
@click.option("--at", "at", required=True, callback=parsed(parse_moment), help="The moment: 2026-11-03T12:00:00Z.")
@click.option("--policy", "digest", metavar="DIGEST", help="Take these policies, without looking into events.")
@click.option("--git", "folder", type=click.Path(path_type=Path), help="A policy folder in a git repository.")
@click.option("--snapshots", type=click.Path(path_type=Path), help="The folder audit.policy_snapshots of a server.")
@click.option("--registry", help="The registry, by service name.")
@click.option("--from", "client", callback=parsed(parse_address), help="The client's IP address.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@config_option
@report_errors(is_usage=True)
def audit_who_could(  # noqa: PLR0917 - click passes options by name
    action: str,
    repository: str,
    files: tuple[str, ...],
    at: datetime,
    digest: str | None,
    folder: Path | None,
    snapshots: Path | None,
    registry: str | None,
    client: IPv4Address | IPv6Address | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """List who could do ACTION on repositories of PATTERN at a moment, and under which conditions.

    `tokenserver audit who-could push 'web/prod/**' --at 2026-11-03T12:00:00Z audit.jsonl`. The events say which
    policies were in force; these are then taken from kept snapshots, or from git. By default, both are where the
    configuration says. Exit code 0: somebody could; 1: nobody could.
    """
    settings = settings_here(config)
    places = past_places(settings, folder, snapshots)
    near = _Evidence.given(digest) if digest is not None else _evidence(files, at)
    with progress("looking for the policies"):
        past = places.find(near.digest, at)
        source = _source(places, past)
    answer = ask_who_can(source, action, repository, registry, client, at)
    if as_json:
        facts = {"at": spell_moment(at), **near.facts(), **_past_facts(past), **answer.all_facts(action)}
        echo_json({**facts, "directory_groups": _directory_groups(answer.facts)}, indent=2)
    else:
        _print(source, near, past, answer, action)
    raise SystemExit(OK if answer.text else NO)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The digest of the policies, the time of the event that named it, and the other digests near the moment."""

    digest: str
    seen: str | None
    others: tuple[str, ...] = ()
    other_facts: tuple[dict[str, Any], ...] = ()

    @classmethod
    def given(cls, digest: str) -> _Evidence:
        """What `--policy` says."""
        found = _DIGEST.fullmatch(digest)
        if found is None:
            raise click.UsageError(f"--policy: {digest!r} is no digest; events have it as policy")
        return cls(found[1], None)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"policy_seen": self.seen, "other_policies": list(self.other_facts)}


def _evidence(files: tuple[str, ...], at: datetime) -> _Evidence:
    """What the events say.

    Raises:
        click.UsageError: no event up to the moment has policies.
    """
    near = PoliciesNear(at)
    store = chosen_store()
    if store is not None:
        if files:
            raise click.UsageError("name files, or --store, but not both")
        with open_events(store) as events:
            events.add_policies(near, at)
        return _found(near, at)
    reader = LogReader(files_or_input(files))
    with progress("searching", reader.spell):
        for line in reader.lines([NEEDLE]):
            near.add_line(line)
    return _found(near, at)


def _found(near: PoliciesNear, at: datetime) -> _Evidence:
    if near.before is None:
        later = ""
        if near.after is not None:
            later = f"; the first one after it, of {near.after[0]}, was decided by {near.after[1]}"
        raise click.UsageError(
            f"no event up to {spell_moment(at)} says which policies were in force{later}; fix: name older files as"
            " well, or say --policy DIGEST"
        )
    seen, digest = near.before
    others = near.others(digest)
    lines = tuple(f"{other} ({one.count:,} from {one.first} to {one.last})" for other, one in others.items())
    facts = tuple(
        {"policy": other, "first": one.first, "last": one.last, "count": one.count} for other, one in others.items()
    )
    return _Evidence(digest, seen, lines, facts)


def _source(places: PastPlaces, past: PastPolicies) -> Source:
    settings = places.settings
    aliases = None if settings is None else settings.claim_aliases
    policies = past.compiled(None, aliases)
    namespaces = None if settings is None else settings.namespaces
    return Source(replace(policies, namespaces=namespaces), (), settings)


def _past_facts(past: PastPolicies) -> dict[str, Any]:
    return {"policy": past.digest, "found": past.origin, "found_since": past.since.isoformat().replace("+00:00", "Z")}


def _directory_groups(facts: Mapping[str, Any]) -> list[str]:
    """Groups whose members user sources know, and no policy file."""
    members = facts.get("members", {})
    return sorted({group for one in members.values() for group in one["groups"]})


def _print(source: Source, near: _Evidence, past: PastPolicies, answer: AskedWhoCan, action: str) -> None:
    since = past.since.isoformat().replace("+00:00", "Z")
    seen = f", which decided the event of {near.seen}" if near.seen is not None else ""
    echo(f"policies {past.digest[:12]}{seen}: {past.origin}, {since}", err=True)
    if near.others:
        echo("events less than a minute away were decided by other policies:", err=True)
        for other in near.others:
            echo(f"  {other}", err=True)
        echo("they changed then, or workers and replicas differed; --policy DIGEST asks about those", err=True)
    answer.print(source, action)
    groups = _directory_groups(answer.facts)
    if groups:
        named = ", ".join(f"group:{group}" for group in groups)
        echo(
            f"the members of {named} are in no policy file: the user source has those of today, and events have the"
            " groups of clients that logged in (tokenserver audit search --group)",
            err=True,
        )
