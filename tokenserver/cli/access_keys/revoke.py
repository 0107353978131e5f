"""`tokenserver access-keys revoke`."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import click

from tokenserver.cli.options import config_option
from tokenserver.cli.stored.ending import end_selected
from tokenserver.cli.stored.opening import open_site, storage_command
from tokenserver.cli.stored.options import key_ids
from tokenserver.storage.selection import PERSONAL, Selection


@click.command("revoke")
@click.argument("identifiers", metavar="[ID]...", nargs=-1, callback=key_ids)
@click.option("--user", metavar="NAME", help="All keys of this user.")
@click.option("--json", "as_json", is_flag=True, help="Print the ids of the ended keys as JSON.")
@config_option
@storage_command
def access_keys_revoke(identifiers: tuple[str, ...], user: str | None, as_json: bool, config: Path | None) -> None:
    """End the keys with these IDs, or all keys of a user. They never come back.

    Exit code 1: a key with one of the IDs is not there, or has ended before; the others are ended.
    """
    if bool(identifiers) == (user is not None):
        raise click.UsageError("name the keys by their IDs, or their owner with --user")
    site = open_site(config)
    owner = None if user is None else unicodedata.normalize("NFC", user)
    selection = Selection(ids=frozenset(identifiers) or None, forms=PERSONAL, owner=owner)
    end_selected(site.store, selection, what="access key", named=identifiers, as_json=as_json)
