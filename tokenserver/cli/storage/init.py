"""`tokenserver storage init` and `storage migrate`: the state key and the tables."""

from __future__ import annotations

from pathlib import Path

import click

from tokenserver.cli.options import config_option
from tokenserver.cli.storage.site import reporting
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.server.stored.opening import prepare_storage, storage_faults
from tokenserver.storage.state_keys import STATE_KEY, init_state_keys


@click.command("init")
@config_option
@reporting
def storage_init(config: Path | None) -> None:
    """Make the state key and the tables; those that exist stay as they are.

    Run it once for a new PostgreSQL database, and copy the state key to all replicas.
    """
    settings = load_settings(config)
    if settings.storage is not None and settings.keys.folder.is_dir() and init_state_keys(settings.keys.folder):
        echo(f"Created the state key, {settings.keys.folder / STATE_KEY}; copy it to all replicas.")
    _prepare(settings)


@click.command("migrate")
@config_option
@reporting
def storage_migrate(config: Path | None) -> None:
    """Bring the tables of an older version up to date, while servers run. There is no way back but a backup.

    First install the new release on all replicas: it works with the tables of the version before as well.
    """
    _prepare(load_settings(config))


def _prepare(settings: Settings) -> None:
    faults = storage_faults(settings)
    if faults:
        raise LoadError(faults)
    done = prepare_storage(settings, migrate=True)
    echo("storage: is up to date; nothing was changed" if done is None else done)
