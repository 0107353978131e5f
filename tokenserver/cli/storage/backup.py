"""`tokenserver storage backup` and `storage restore`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.storage.site import file_of, reporting
from tokenserver.cli.stored.opening import by_whom, store_of
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.storage.state_keys import STATE_KEY

DUMP = "pg_dump --format=custom --file=FILE URL"
LOAD = "stop the servers, pg_restore --clean --if-exists --dbname=URL FILE, tokenserver storage restore --replay AUDIT"

_UNKNOWN = (
    "warning: audit logs do not have what commands ended since the backup, such as logins revoke; fix: run those again"
)

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("backup")
@click.argument("file", type=_file)
@config_option
@reporting
def storage_backup(file: Path, config: Path | None) -> None:
    """Copy the storage, as it is now, into a new FILE, while servers run.

    The copy is of no use without the state key: back up the key folder as well, in another place.
    """
    from tokenserver.storage.upkeep.backup import back_up  # noqa: PLC0415 - takes long to import

    settings = load_settings(config)
    database = file_of(settings, DUMP)
    store_of(settings)  # made, if the server has not been started yet
    with progress("copying the storage"):
        size = back_up(database, file)
    echo(f"Wrote {file} ({size:,} bytes). To be of use, it needs {settings.keys.folder / STATE_KEY} as well.")


@click.command("restore")
@click.argument("file", type=_file, required=False)
@click.option("--keep", is_flag=True, help="Let credentials work that ended after the backup.")
@click.option("--replay", type=_file, multiple=True, help="Audit log: end what it says has ended.  [repeatable]")
@config_option
@reporting
def storage_restore(file: Path | None, *, keep: bool, replay: tuple[Path, ...], config: Path | None) -> None:
    """Put a backup into the storage. Servers that run take it over within two seconds.

    A backup does not know what was revoked after it. So all its credentials end, unless --replay names the audit logs
    since then, or --keep says that nothing was revoked. With --replay, browser sessions end. Without FILE, the same is
    done to a database that pg_restore has restored.
    """
    from tokenserver.storage.upkeep.restoring import Restored, end_restored, restore  # noqa: PLC0415 - takes long

    if keep and replay:
        exit_with("--keep and --replay contradict each other; nothing was done.")
    settings = load_settings(config)
    store = store_of(settings)
    logs = [path.read_bytes() for path in replay] or None
    if file is None:
        found = Restored(end_restored(store, logs=logs, keep=keep, by=by_whom()), knew_ends=False)
        store.announce_done("restore_storage", ended=found.ended)
    else:
        restored = partial(restore, store, file, file_of(settings, LOAD), logs=logs, keep=keep, by=by_whom())
        found = restored(
            announced=lambda connection, rev, ended: store.announce(connection, rev, "restore_storage", ended=ended)
        )
    what = f"Restored {file}" if file is not None else "Looked through the restored database"
    echo(f"{what}; {found.ended:,} credential{'s' if found.ended != 1 else ''} ended.")
    if found.is_moved:
        echo("The old database was too damaged to be overwritten and was moved aside. Restart the servers now.")
    if logs is not None and not found.knew_ends:
        echo(_UNKNOWN, fg="yellow", err=True)
