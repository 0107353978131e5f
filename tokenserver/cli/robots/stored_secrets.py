"""Stored secrets of robots: makes, rotates and revokes them. Declared and stored ones count together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.robots.secret import robot_name, secret_end
from tokenserver.cli.stored.ending import end_selected
from tokenserver.cli.stored.opening import StoredSite, by_whom, open_site, site_of, storage_command
from tokenserver.cli.stored.options import (
    Networks,
    ceiling_of,
    now_utc,
    optional_key_id,
    parse_duration_option,
)
from tokenserver.cli.stored.secret_output import print_facts, print_secret
from tokenserver.cli.terminal import echo
from tokenserver.config.credentials import MAX_OVERLAP
from tokenserver.config.settings import Settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.documents.hints import nearest
from tokenserver.errors import LoadError
from tokenserver.identity import ROBOT_PREFIX, Sort
from tokenserver.management.facts import facts_of, is_live, spell_limits, spelled
from tokenserver.management.robot_rules import MAX_LIVE, live_declared, third_secret
from tokenserver.patterns import Pattern
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.storage.changes import NoSuchCredential, RotatedAlready, TooManyCredentials
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import ROBOT_SECRETS, Listed, Selection


class StoredLimits(NamedTuple):
    """The values of `limit_options`."""

    pull: bool
    push: bool
    actions: frozenset[str] | None
    repositories: tuple[Pattern, ...]
    registries: tuple[str, ...]
    networks: Networks


@storage_command
def store_secret(
    name: str, end: datetime, limits: StoredLimits, note: str, *, as_json: bool, config: Path | None
) -> None:
    """Store a new secret of this robot, and print it. Ends the command if it has `MAX_LIVE` live ones already."""
    try:
        site = open_site(config)
    except LoadError:
        echo("To store nothing and declare the secret in a policy file, add --for-file.", err=True)
        raise
    now = now_utc()
    declared = live_declared(_robot(site, name), now)
    ceiling = ceiling_of(
        site.settings,
        pull=limits.pull,
        push=limits.push,
        actions=limits.actions,
        repositories=limits.repositories,
        registries=limits.registries,
    )
    wanted = StoredCredential(
        id="",
        form=AccessKeyForm.ROBOT,
        owner=subject_of(name),
        sort=Sort.ROBOT,
        source="",
        created=0,
        created_by=by_whom(),
        ends=int(end.timestamp()),
        name=note,
        ceiling=ceiling,
        networks=limits.networks,
    )
    try:
        key, made = site.store.create(wanted, at_most=MAX_LIVE - len(declared))
    except TooManyCredentials:
        _refuse_a_third(name)
    listed = Listed(made)
    facts = {"robot": name, "note": note, **facts_of(listed, now)}
    print_secret(site.store, key, facts if as_json else None)
    if not as_json:
        _print_new(listed, name)


@click.command("rotate")
@click.argument("name", callback=robot_name)
@click.option("--expires", metavar="WHEN", help="How long the new one is valid, or its end.  [default: 90d]")
@click.option(
    "--overlap",
    metavar="DURATION",
    default="24h",
    show_default=True,
    callback=parse_duration_option(timedelta(seconds=MAX_OVERLAP)),
    help="For how long the old one stays valid; 0s: not at all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the secret and its facts as JSON.")
@config_option
@storage_command
def secret_rotate(name: str, expires: str | None, overlap: timedelta, as_json: bool, config: Path | None) -> None:
    """Make a successor of the stored secret of the robot NAME, with the same limits. The old one ends a while later.

    The new secret goes to standard output and nothing else does. Exit code 1: the robot has no stored secret, or two
    are valid already.
    """
    site = open_site(config)
    now = now_utc()
    end = secret_end(expires, config)
    declared = live_declared(_robot(site, name), now)
    stored = live_secrets(site, name, now)
    if not stored:
        exit_with(f"the robot {name} has no live stored secret; fix: tokenserver robots secret new {name}", NO)
    replaced = {one.credential.replaces for one in stored}
    old = next(one for one in stored if one.credential.id not in replaced)
    pause = int(overlap.total_seconds())
    most = MAX_LIVE - len(declared)
    try:
        key, made = site.store.rotate(
            old.credential.id, ends=int(end.timestamp()), overlap=pause, by=by_whom(), at_most=most
        )
    except (NoSuchCredential, RotatedAlready) as error:
        exit_with(str(error), NO)
    except TooManyCredentials:
        _refuse_a_third(name)
    listed = Listed(made)
    old_end = spelled(min(old.credential.ends, int(now.timestamp()) + pause))
    facts = {"robot": name, **facts_of(listed, now), "replaced_expires": old_end}
    print_secret(site.store, key, facts if as_json else None)
    if not as_json:
        _print_new(listed, name)
        echo(f"The old secret {old.credential.id} ends at {old_end}.", err=True)


@click.command("revoke")
@click.argument("name", callback=robot_name)
@click.option(
    "--id",
    "identifier",
    metavar="ID",
    callback=optional_key_id,
    help="This secret alone.  [default: all that are stored]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ids of what was ended as JSON.")
@config_option
@storage_command
def secret_revoke(name: str, identifier: str | None, as_json: bool, config: Path | None) -> None:
    """End the stored secrets of the robot NAME, which need not be declared any more. They never come back.

    Exit code 1: there was none. A secret that a policy file declares ends when its line is removed.
    """
    site = open_site(config)
    one = None if identifier is None else frozenset({identifier})
    selection = Selection(ids=one, forms=ROBOT_SECRETS, owner=subject_of(name))
    _warn_of_declared(site, name)
    named = () if identifier is None else (identifier,)
    end_selected(site.store, selection, what=f"stored secret of {name}", named=named, as_json=as_json)


def all_stored(settings: Settings) -> Iterator[tuple[str, Listed]]:
    """The stored secrets that have not been revoked, each with the name of its robot.

    Raises:
        LoadError: the storage cannot be opened as configured.
        BackendUnavailable: it does not answer.
    """
    for listed in site_of(settings, "").store.listed(Selection(forms=ROBOT_SECRETS)):
        if listed.ended is None:
            yield listed.credential.owner.removeprefix(ROBOT_PREFIX), listed


def live_secrets(site: StoredSite, name: str, now: datetime) -> list[Listed]:
    """The stored secrets of this robot that are valid now."""
    found = site.store.listed(Selection(forms=ROBOT_SECRETS, owner=subject_of(name)))
    return [one for one in found if is_live(one, now)]


def _robots(site: StoredSite) -> Mapping[str, Robot]:
    """The robots that the policies declare, by name.

    Raises:
        LoadError: the policies do not load.
    """
    services = frozenset(registry.service for registry in site.settings.registries)
    anchors = site.settings.workload_claims
    policies, _ = compile_policies(site.settings.policies, services=services, workload_sources=anchors)
    return policies.robots


def _robot(site: StoredSite, name: str) -> Robot:
    """The robot as the policies declare it; ends the command if they do not."""
    robots = _robots(site)
    if name not in robots:
        exit_with(f"no policy file declares the robot {name!r}; {nearest(name, robots)}", NO)
    return robots[name]


def _warn_of_declared(site: StoredSite, name: str) -> None:
    """Warn of secrets of the robot that no command ends. Faulty policies must not keep stored ones alive."""
    try:
        robot = _robots(site).get(name)
    except LoadError:
        echo("warning: the policies do not load, so secrets that they declare are unknown", fg="yellow", err=True)
        return
    for identifier in () if robot is None else live_declared(robot, now_utc()):
        where = "" if robot is None else f"{robot.file}:{robot.line}"
        text = f"warning: {identifier} is declared at {where} and still works; fix: remove its line from the file"
        echo(text, fg="yellow", err=True)


def _refuse_a_third(name: str) -> NoReturn:
    exit_with(
        f"{third_secret(name)}; fix: see which one is used with tokenserver robots show {name}, and end the other one",
        NO,
    )


def _print_new(listed: Listed, name: str) -> None:
    one = listed.credential
    rows = [
        ("id", one.id),
        ("robot", name),
        ("note", one.name),
        ("limits", spell_limits(listed) or "none: all that the robot can do"),
        ("expires", spelled(one.ends)),
    ]
    print_facts(rows)
    echo(f"It logs in with the user name {name}, or token.", err=True)
