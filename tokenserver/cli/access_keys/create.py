"""`tokenserver access-keys create` and `rotate`: new keys, whose secrets are printed once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.stored.opening import StoredSite, by_whom, open_site, storage_command
from tokenserver.cli.stored.options import (
    Networks,
    ceiling_of,
    key_id,
    limit_options,
    note_text,
    now_utc,
    parse_duration_option,
    parse_end,
)
from tokenserver.cli.stored.owners import OwnerLookup
from tokenserver.cli.stored.secret_output import print_facts, print_secret
from tokenserver.cli.terminal import echo
from tokenserver.config.credentials import MAX_OVERLAP, AccessKeySettings
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Sort
from tokenserver.management.facts import facts_of, is_live, spell_limits, spelled
from tokenserver.management.wishes import end_after
from tokenserver.patterns import Pattern
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import PERSONAL, Listed, Selection
from tokenserver.storage.store import NoSuchCredential, TooManyCredentials

_Made = TypeVar("_Made")


@click.command("create")
@click.option("--user", required=True, metavar="NAME", help="The owner, who can already do what the key is to do.")
@limit_options
@click.option(
    "--expires",
    metavar="WHEN",
    help="How long it is valid (30d, 12h), or its end as a date or time.  [default: as configured]",
)
@click.option("--name", default="", metavar="TEXT", callback=note_text, help="What it is for, for its owner.")
@click.option("--source", metavar="SOURCE", help="The user source of the owner, if it cannot be asked now.")
@click.option("--json", "as_json", is_flag=True, help="Print the secret and its facts as JSON.")
@config_option
@storage_command
def access_keys_create(  # noqa: PLR0917 - click passes options by name
    user: str,
    pull: bool,
    push: bool,
    actions: frozenset[str] | None,
    repositories: tuple[Pattern, ...],
    registries: tuple[str, ...],
    networks: Networks,
    expires: str | None,
    name: str,
    source: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Make an access key for the user NAME, narrowed as the options say.

    The secret goes to standard output and nothing else does, so that it can be piped to where it is needed. It is kept
    nowhere. The key can never do more than its owner.

    \b
    tokenserver access-keys create --user ann --pull --repositories 'web/**' --expires 30d
    """
    site = open_site(config)
    limits = _settings_of(site)
    now = now_utc()
    most = timedelta(seconds=limits.max_lifetime)
    default = end_after(timedelta(seconds=limits.default_lifetime), now)
    end = default if expires is None else parse_end(expires, now, most)
    ceiling = ceiling_of(
        site.settings, pull=pull, push=push, actions=actions, repositories=repositories, registries=registries
    )
    with progress("looking up the user"):
        owner = OwnerLookup(site.settings, site.store).find(user, source)
    wanted = StoredCredential(
        id="",
        form=AccessKeyForm.PERSONAL,
        owner=owner.subject,
        sort=Sort.USER,
        source=owner.source,
        created=0,
        created_by=by_whom(),
        ends=int(end.timestamp()),
        name=name,
        ceiling=ceiling,
        networks=networks,
    )
    key, made = _made(lambda: site.store.create(wanted, at_most=limits.per_user))
    listed = Listed(made)
    print_secret(site.store, key, facts_of(listed, now) if as_json else None)
    if owner.doubt:
        echo(f"warning: {owner.doubt}", fg="yellow", err=True)
    if not as_json:
        _print_new(listed)


@click.command("rotate")
@click.argument("identifier", metavar="ID", callback=key_id)
@click.option(
    "--expires",
    metavar="WHEN",
    help="How long the new key is valid (30d, 12h), or its end.  [default: as configured]",
)
@click.option(
    "--overlap",
    metavar="DURATION",
    callback=parse_duration_option(timedelta(seconds=MAX_OVERLAP)),
    help="For how long the old key stays valid (24h; 0s: not at all).  [default: as configured]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the secret and its facts as JSON.")
@config_option
@storage_command
def access_keys_rotate(
    identifier: str, expires: str | None, overlap: timedelta | None, as_json: bool, config: Path | None
) -> None:
    """Make a successor of the key ID with the same owner and limits. The old key ends a while later.

    The secret of the new key goes to standard output and nothing else does. Exit code 1: there is no live key ID, or it
    is being rotated already.
    """
    site = open_site(config)
    limits = _settings_of(site)
    now = now_utc()
    found = live_key(site, identifier, now)
    most = timedelta(seconds=limits.max_lifetime)
    default = end_after(timedelta(seconds=limits.default_lifetime), now)
    end = default if expires is None else parse_end(expires, now, most)
    pause = timedelta(seconds=limits.rotate_overlap) if overlap is None else overlap
    key, made = _made(
        lambda: site.store.rotate(
            identifier, ends=int(end.timestamp()), overlap=int(pause.total_seconds()), by=by_whom()
        )
    )
    listed = Listed(made)
    old_end = min(found.credential.ends, int(now.timestamp() + pause.total_seconds()))
    facts = {**facts_of(listed, now), "replaced_expires": spelled(old_end)}
    print_secret(site.store, key, facts if as_json else None)
    if not as_json:
        _print_new(listed)
        echo(f"The old key {identifier} ends at {spelled(old_end)}.", err=True)


def live_key(site: StoredSite, identifier: str, now: datetime) -> Listed:
    """The live personal key with this id; ends the command if there is none."""
    found = site.store.listed(Selection(ids=frozenset({identifier}), forms=PERSONAL))
    if not found:
        exit_with(f"there is no access key {identifier}; fix: tokenserver access-keys list", NO)
    if not is_live(found[0], now):
        exit_with(f"the access key {identifier} has ended; fix: make a new one with access-keys create", NO)
    return found[0]


def _made(work: Callable[[], _Made]) -> _Made:
    try:
        return work()
    except (TooManyCredentials, NoSuchCredential) as error:
        exit_with(str(error), NO)


def _settings_of(site: StoredSite) -> AccessKeySettings:
    if site.settings.access_keys is None:
        message = "is missing, so there are no personal access keys; fix: access_keys: {}"
        raise LoadError([Fault(site.config, 0, "access_keys", message)])
    return site.settings.access_keys


def _print_new(listed: Listed) -> None:
    one = listed.credential
    rows = [
        ("id", one.id),
        ("owner", f"{one.owner} ({one.source})"),
        ("name", one.name),
        ("limits", spell_limits(listed) or "none: all that its owner can do"),
        ("expires", spelled(one.ends)),
    ]
    print_facts(rows)
    echo(f"It is used in place of the password of {one.owner}, with that user name or with token.", err=True)
