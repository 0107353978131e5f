"""`tokenserver logins list`: which clients are logged in as whom, and from where."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from tokenserver.cli.console.table import table
from tokenserver.cli.options import config_option
from tokenserver.cli.stored.opening import open_site, storage_command
from tokenserver.cli.stored.options import now_utc
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.credentials import AccessKeyForm
from tokenserver.management.facts import facts_of, is_live, registries_of, spelled, state_of
from tokenserver.storage.selection import LOGINS, Listed, Selection

_KINDS = {AccessKeyForm.REFRESH: "refresh token", AccessKeyForm.SESSION: "session"}
_HEADS = (
    "ID",
    "OWNER",
    "KIND",
    "STATE",
    "CLIENT",
    "REGISTRIES",
    "MADE",
    "LAST USED",
    "FIRST FROM",
    "LAST FROM",
    "ENDS",
)


@click.command("list")
@click.option("--user", metavar="NAME", help="Those of this user.")
@click.option("--all", "with_ended", is_flag=True, help="Also those that expired or were revoked not long ago.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@config_option
@storage_command
def logins_list(user: str | None, with_ended: bool, as_json: bool, config: Path | None) -> None:
    """List the refresh tokens and sessions that can be used, the newest first.

    FIRST FROM and LAST FROM are the addresses of its first and last use, exact to a minute.
    """
    site = open_site(config)
    now = now_utc()
    owner = None if user is None else unicodedata.normalize("NFC", user)
    found = site.store.listed(Selection(forms=LOGINS, owner=owner))
    shown = [one for one in found if with_ended or is_live(one, now)]
    if as_json:
        rows = [{**facts_of(one, now), "kind": _KINDS[one.credential.form]} for one in shown]
        echo_json({"logins": rows})
        return
    if not shown:
        echo("There are no refresh tokens and no sessions.", err=True)
        return
    echo_text(table(_HEADS, [_cells(one, now) for one in shown]))


def _cells(listed: Listed, now: datetime) -> Sequence[str]:
    one, use = listed.credential, listed.use
    registries = registries_of(listed)
    return (
        one.id,
        one.owner,
        _KINDS[one.form],
        state_of(listed, now),
        one.client or "-",
        "all" if registries is None else ", ".join(sorted(registries)),
        spelled(one.created),
        "never" if use is None else spelled(use.last),
        (one.created_from or "-") if use is None else use.first_from,
        "-" if use is None else use.last_from,
        spelled(one.ends),
    )
