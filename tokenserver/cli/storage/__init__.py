"""`tokenserver storage`: the commands for the database of stored credentials."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "backup": LazyCommand("tokenserver.cli.storage.backup", "storage_backup", "Copy the storage into a new file."),
    "check": LazyCommand("tokenserver.cli.storage.check", "storage_check", "Look for damage and foreign changes."),
    "init": LazyCommand("tokenserver.cli.storage.init", "storage_init", "Make the state key and the tables."),
    "migrate": LazyCommand("tokenserver.cli.storage.init", "storage_migrate", "Bring older tables up to date."),
    "prune": LazyCommand("tokenserver.cli.storage.upkeep", "storage_prune", "Remove what ended a month ago."),
    "reseal": LazyCommand("tokenserver.cli.storage.upkeep", "storage_reseal", "Replace the state key."),
    "restore": LazyCommand("tokenserver.cli.storage.backup", "storage_restore", "Put a backup back."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def storage() -> None:
    """The database that `storage:` names. `serve` makes and migrates an SQLite file by itself."""
