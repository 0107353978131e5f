"""Opening the storage of the configuration for a command, and what its errors mean to a person at a terminal."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tokenserver.cli.options import report_errors
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings

if TYPE_CHECKING:
    from tokenserver.server.stored.announcing import AnnouncingStore
    from tokenserver.storage.people.browser_sessions import BrowserSessions


class StoredSite(NamedTuple):
    """The settings and the storage that they name. `config` is the file."""

    settings: Settings
    store: AnnouncingStore
    config: str

    @property
    def browsers(self) -> BrowserSessions:
        """Logins in browsers."""
        from tokenserver.storage.people.browser_sessions import BrowserSessions  # noqa: PLC0415 - as in `site_of`

        return BrowserSessions(self.store.database, self.store.keys, now=time.time)


def open_site(config: Path | None) -> StoredSite:
    """The settings of this file, and their storage.

    Raises:
        LoadError: faults of the configuration or of the state keys, or there is no storage.
        BackendUnavailable: the storage does not answer.
    """
    return site_of(load_settings(config), str(config_path(config)))


def site_of(settings: Settings, config: str) -> StoredSite:
    """The storage of these settings, which are of the file `config`. Raises as `open_site`."""
    return StoredSite(settings, store_of(settings), config)


def store_of(settings: Settings) -> AnnouncingStore:
    """The storage of these settings, which is closed when the command ends. Raises as `open_site`."""
    # Needed only with a storage, and importing its engines takes a while.
    from tokenserver.server.stored.opening import open_store  # noqa: PLC0415 - see above

    store = open_store(settings, by_whom())
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(store.database.close)
    return store


def by_whom() -> str:
    """Who changes something by a command: `cli:` and the name of the account that runs it."""
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"cli:{number}"


storage_command = report_errors(outage="{backend} cannot be asked: {reason}; nothing was changed", is_usage=True)
"""A decorator: end a command if files are faulty (`WRONG_USE`), or something does not answer now (`NO`)."""
