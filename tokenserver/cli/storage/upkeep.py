"""`tokenserver storage prune` and `storage reseal`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.storage.site import reporting
from tokenserver.cli.stored.opening import by_whom, store_of
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.storage.state_keys import add_state_key, remove_state_key


@click.command("prune")
@config_option
@reporting
def storage_prune(config: Path | None) -> None:
    """Remove credentials that ended more than 30 days ago, and logins that came to nothing."""
    from tokenserver.storage.upkeep.pruning import prune  # noqa: PLC0415 - takes long to import

    store = store_of(load_settings(config))
    removed = prune(store.database, now=time.time())
    store.announce_done("prune_storage", removed=removed)
    echo("Removed " + ", ".join(f"{count:,} {name}" for name, count in removed.items()) + ".")


@click.command("reseal")
@click.option("--new-key", is_flag=True, help="Add a state key, which is used for what is new.")
@click.option("--retire", type=int, metavar="N", help="End what was made with state key N, and delete the key.")
@config_option
@reporting
def storage_reseal(config: Path | None, *, new_key: bool, retire: int | None) -> None:
    """Replace the state key, in two steps.

    --new-key adds one: copy state.key to all replicas and restart them; new credentials use it. When the old ones have
    been renewed, --retire ends the rest and deletes their key: what was made with it can be verified with it alone.
    """
    from tokenserver.storage.selection import Selection  # noqa: PLC0415 - takes long to import
    from tokenserver.storage.upkeep.inspection import inspect  # noqa: PLC0415

    if new_key == (retire is not None):
        exit_with("give one of --new-key and --retire N; nothing was done.")
    settings = load_settings(config)
    store = store_of(settings)
    if retire is None:
        number = add_state_key(settings.keys.folder)
        store.announce_done("add_state_key", state_key=number)
        echo(f"Added state key {number}. Copy state.key to all replicas and restart them.")
        for old, live in inspect(store, now=time.time()).live.items():
            echo(f"{live:,} live credentials were made with state key {old}.")
        return
    if retire not in store.keys.by_number:
        exit_with(f"there is no state key {retire}; keys: {', '.join(map(str, sorted(store.keys.by_number)))}", NO)
    if retire == store.keys.newest.number:
        exit_with(f"state key {retire} is in use; fix: tokenserver storage reseal --new-key", NO)
    reason = f"state key {retire} was retired"
    ended = len(store.end(Selection(state_key=retire), by=by_whom(), reason=reason))
    store.announce_done("remove_state_key", state_key=retire, ended=ended)
    remove_state_key(settings.keys.folder, retire)
    echo(f"Ended {ended:,} credentials and deleted state key {retire}.")
    echo("Copy state.key to all replicas and restart them.")
