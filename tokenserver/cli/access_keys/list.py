"""`tokenserver access-keys list` and `show`: which keys there are, whose, until when, and when they were used."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.stored.opening import StoredSite, open_site, storage_command
from tokenserver.cli.stored.options import key_id, now_utc
from tokenserver.cli.stored.owners import OwnerLookup
from tokenserver.cli.stored.secret_output import print_credential
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.errors import BackendUnavailable
from tokenserver.management.facts import EXPIRES_SOON, facts_of, is_live, spell_limits, spelled, state_of
from tokenserver.storage.selection import PERSONAL, Listed, Selection

_HEADS = ("ID", "OWNER", "NAME", "STATE", "ENDS", "LAST USED", "LIMITS")


@click.command("list")
@click.option("--user", metavar="NAME", help="Those of this user.")
@click.option("--orphaned", is_flag=True, help="Those that are refused because their owner is gone or disabled.")
@click.option("--expiring", is_flag=True, help="Those that end within 14 days.")
@click.option("--all", "with_ended", is_flag=True, help="Also those that expired or were revoked not long ago.")
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON.")
@config_option
@storage_command
def access_keys_list(  # noqa: PLR0917 - click passes options by name
    user: str | None, orphaned: bool, expiring: bool, with_ended: bool, as_json: bool, config: Path | None
) -> None:
    """List the personal access keys that can be used, the newest first. Keys that end within 14 days are marked.

    The last use is exact to a minute. Exit code 1: with --orphaned, a user source could not be asked, so keys of its
    users may be missing from the list.
    """
    site = open_site(config)
    now = now_utc()
    owner = None if user is None else unicodedata.normalize("NFC", user)
    found = site.store.listed(Selection(forms=PERSONAL, owner=owner))
    shown = [one for one in found if with_ended or is_live(one, now)]
    if expiring:
        shown = [one for one in shown if state_of(one, now) == EXPIRES_SOON]
    if orphaned:
        _print_orphaned(_orphans(site, shown), now, as_json=as_json)
        return
    if as_json:
        echo_json({"access_keys": [facts_of(one, now) for one in shown]})
        return
    if not shown:
        echo("There are no such access keys." if user or expiring else "There are no access keys.", err=True)
        return
    echo_text(table(_HEADS, [_cells(one, now) for one in shown]))


@click.command("show")
@click.argument("identifier", metavar="ID", callback=key_id)
@click.option("--json", "as_json", is_flag=True, help="Print the key as JSON.")
@config_option
@storage_command
def access_keys_show(identifier: str, as_json: bool, config: Path | None) -> None:
    """Show the key ID, also one that ended not long ago; its secret is kept nowhere.

    `tokenserver token inspect` says the id of a key. Exit code 1: there is none with this id.
    """
    site = open_site(config)
    found = site.store.listed(Selection(ids=frozenset({identifier}), forms=PERSONAL))
    if not found:
        exit_with(f"there is no access key {identifier}; fix: tokenserver access-keys list --all", NO)
    print_credential(found[0], now_utc(), as_json=as_json)


class _Orphans(NamedTuple):
    """Keys that are refused for their owner's sake, each with the reason; and sources that cannot tell, with theirs."""

    keys: list[tuple[Listed, str]]
    not_asked: dict[str, str]


def _orphans(site: StoredSite, listed: Iterable[Listed]) -> _Orphans:
    owners = OwnerLookup(site.settings, site.store)
    found = _Orphans([], {})
    with progress("looking up the owners"):
        for one in listed:
            try:
                problem = owners.problem(one.credential.owner, one.credential.source)
            except BackendUnavailable as error:
                found.not_asked[one.credential.source] = error.reason
                continue
            if problem is not None:
                found.keys.append((one, problem))
    return found


def _print_orphaned(found: _Orphans, now: datetime, *, as_json: bool) -> None:
    """Print the orphaned keys; ends the command with `NO` if a source could not be asked."""
    if as_json:
        rows = [{**facts_of(one, now), "problem": problem} for one, problem in found.keys]
        echo_json({"access_keys": rows, "not_asked": found.not_asked})
    elif found.keys:
        echo_text(table((*_HEADS, "PROBLEM"), [(*_cells(one, now), problem) for one, problem in found.keys]))
    elif not found.not_asked:
        echo("There are no such access keys.", err=True)
    for source, reason in found.not_asked.items():
        echo(f"{source} cannot be asked: {reason}; keys of its users are not in the list", err=True, fg="red")
    if found.not_asked:
        raise SystemExit(NO)


def _cells(listed: Listed, now: datetime) -> Sequence[str]:
    one = listed.credential
    used = "never" if listed.use is None else spelled(listed.use.last)
    return (
        one.id,
        one.owner,
        one.name or "-",
        state_of(listed, now),
        spelled(one.ends),
        used,
        spell_limits(listed) or "-",
    )
