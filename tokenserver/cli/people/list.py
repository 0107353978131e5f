"""`tokenserver people list`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.console.table import table
from tokenserver.cli.options import config_option
from tokenserver.cli.stored.opening import open_site, storage_command
from tokenserver.cli.terminal import echo, echo_json, echo_text


@click.command("list")
@click.option("--source", metavar="NAME", help="Only the people of this source.")
@click.option("--json", "as_json", is_flag=True, help="Print the people as JSON.")
@config_option
@storage_command
def people_list(source: str | None, as_json: bool, config: Path | None) -> None:
    """List everybody who has logged in at an OpenID provider, with the groups of the provider's last answer."""
    from tokenserver.storage.people.openid_people import OpenIdPeople  # noqa: PLC0415 - needs the storage's engine

    site = open_site(config)
    found = OpenIdPeople(site.store.database, site.store.keys, now=time.time).listed(source)
    if as_json:
        facts = [
            {
                "source": one.source,
                "user": one.subject,
                "sub": one.sub,
                "groups": sorted(one.groups),
                "last_login": one.seen,
                "active": one.is_active,
            }
            for one in found
        ]
        echo_json({"people": facts})
        return
    heads = ("SOURCE", "USER", "LAST LOGIN", "GROUPS")
    rows = [
        (one.source, one.subject, _moment(one.seen), ", ".join(sorted(one.groups)) if one.is_active else "(ended)")
        for one in found
    ]
    if not rows:
        echo("Nobody has logged in at an OpenID provider.", err=True)
        return
    echo_text(table(heads, rows))


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
