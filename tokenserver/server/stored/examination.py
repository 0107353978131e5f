"""Examination of the storage as a whole: damage of the file, older tables, changed rows, missing state keys."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from tokenserver.config.settings import Settings
from tokenserver.server.stored.opening import is_empty, open_store, storage_warnings


class ExaminedStorage(NamedTuple):
    """How many credentials there are (None: that cannot be told), and the findings as sentences, each with its fix.

    `live` is the number of live credentials by the number of the state key that they were made with. `notes` are what
    is no fault of the storage.
    """

    rows: int | None
    live: dict[int, int]
    findings: list[str]
    notes: tuple[str, ...] = ()


def examine_storage(settings: Settings, *, now: float) -> ExaminedStorage:
    """Look at everything in the storage, and change nothing. `now` is in seconds since the epoch.

    Raises:
        LoadError: it cannot be used as configured; see `check_storage`.
        StorageUnavailable: the database does not answer.
    """
    from tokenserver.storage.upkeep.inspection import inspect  # noqa: PLC0415 - takes long to import

    file = None if settings.storage is None else settings.storage.file
    if file is not None and is_empty(file):
        return ExaminedStorage(0, {}, [])
    damage = None if file is None else _damage(file)
    if damage is not None:
        return ExaminedStorage(None, {}, [damage, *storage_warnings(settings)])
    store = open_store(settings)
    try:
        found = inspect(store, now=now)
    finally:
        store.database.close()
    return ExaminedStorage(found.rows, found.live, [*storage_warnings(settings), *found.findings], found.notes)


def _damage(file: Path) -> str | None:
    from tokenserver.storage.upkeep.backup import damage_of  # noqa: PLC0415 - takes long to import

    try:
        problem = damage_of(file)
    except sqlite3.Error as error:
        problem = str(error)
    if problem is None:
        return None
    return f"{file} is damaged: {problem}; fix: restore a backup: tokenserver storage restore FILE"
