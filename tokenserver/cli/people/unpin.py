"""`tokenserver people unpin`."""

from __future__ import annotations

import time
import unicodedata
from functools import partial
from pathlib import Path

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.stored.ending import BrowserEnds
from tokenserver.cli.stored.opening import by_whom, open_site, storage_command
from tokenserver.cli.terminal import echo
from tokenserver.storage.selection import Selection


@click.command("unpin")
@click.argument("user", metavar="USER")
@click.option("--source", metavar="NAME", required=True, help="The source, as in the configuration.")
@config_option
@storage_command
def people_unpin(user: str, source: str, config: Path | None) -> None:
    """Free the name of a person who has left or was renamed, so that the next login by it is somebody else's.

    The person's access keys, refresh tokens and browser sessions end.
    """
    from tokenserver.storage.people.epochs import Whose  # noqa: PLC0415 - as below
    from tokenserver.storage.people.openid_people import OpenIdPeople  # noqa: PLC0415 - needs the storage's engine

    site, subject = open_site(config), unicodedata.normalize("NFC", user)
    # First what the person has, so that nobody inherits it.
    selection = Selection(owner=subject, source=source)
    whose = Whose(source, "subject", subject)
    browsers = BrowserEnds(site.store, partial(site.browsers.end_within, whose=whose), owner=subject, source=source)
    ended = site.store.end(selection, by=by_whom(), reason="the name was freed for somebody else", also=browsers)
    if not OpenIdPeople(site.store.database, site.store.keys, now=time.time).unpin(source, subject):
        exit_with(f"nobody of {source} has logged in as {subject!r}", NO)
    echo(f"{subject} of {source} is free; {len(ended)} access keys and refresh tokens have ended.", fg="green")
