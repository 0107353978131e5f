"""`tokenserver access-keys list` and `show`: which keys there are, whose, until when, and when they were used."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import click

from tokenserver.cli.access_keys.create import PERSONAL
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.stored.opening import StoredSite, open_site, storage_command
from tokenserver.cli.stored.options import key_id, now_utc
from tokenserver.cli.stored.owners import OwnerLookup
from tokenserver.cli.stored.secret_output import print_credential
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.management.facts import EXPIRES_SOON, facts_of, is_live, spell_limits, spelled, state_of
from tokenserver.storage.selection import Listed, Selection

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

    The last use is exact to a minute.
    """
    site = open_site(config)
    now = now_utc()
    owner = None if user is None else unicodedata.normalize("NFC", user)
    found = site.store.listed(Selection(forms=PERSONAL, owner=owner))
    shown = [one for one in found if with_ended or is_live(one, now)]
    if expiring:
        shown = [one for one in shown if state_of(one, now) == EXPIRES_SOON]
    problems: dict[str, str] = {}
    if orphaned:
        problems = _problems(site, shown)
        shown = [one for one in shown if one.credential.id in problems]
    if as_json:
        rows = [{**facts_of(one, now), **_problem_facts(one, problems)} for one in shown]
        echo_text(json.dumps({"access_keys": rows}))
        return
    if not shown:
        echo(
            "There are no such access keys." if user or orphaned or expiring else "There are no access keys.", err=True
        )
        return
    if orphaned:
        cells = [(*_cells(one, now), problems[one.credential.id]) for one in shown]
        echo_text(table((*_HEADS, "PROBLEM"), cells))
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


def _problems(site: StoredSite, listed: Iterable[Listed]) -> dict[str, str]:
    """By id, why keys are refused for their owner's sake."""
    owners = OwnerLookup(site.settings, site.store)
    with progress("looking up the owners"):
        found = {one.credential.id: owners.problem(one.credential.owner, one.credential.source) for one in listed}
    return {identifier: problem for identifier, problem in found.items() if problem is not None}


def _problem_facts(listed: Listed, problems: dict[str, str]) -> dict[str, str]:
    problem = problems.get(listed.credential.id)
    return {} if problem is None else {"problem": problem}


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
