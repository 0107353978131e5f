"""What commands of the storage share: its settings, and what its errors mean at a terminal."""

from __future__ import annotations

from pathlib import Path

from tokenserver.cli.options import report_errors
from tokenserver.config.settings import Settings
from tokenserver.config.storage import USUAL_FILE
from tokenserver.errors import Fault, LoadError

reporting = report_errors(outage="{backend}: {reason}")
"""A decorator: end a command with `WRONG_USE` for faulty files, with `NO` where the database does not answer."""


def file_of(settings: Settings, instead: str) -> Path:
    """The file of SQLite. `instead` says what to do with PostgreSQL.

    Raises:
        LoadError: there is no storage, or it is PostgreSQL.
    """
    if settings.storage is None:
        message = f"is not set, so there is nothing to do; fix: add storage: {USUAL_FILE}"
        raise LoadError([Fault("storage", 0, "", message)])
    if settings.storage.file is None:
        raise LoadError([Fault("storage", 0, "", f"is a PostgreSQL database; fix: {instead}")])
    return settings.storage.file
