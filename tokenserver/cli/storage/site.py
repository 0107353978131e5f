"""What commands of the storage share: its settings, and what its errors mean at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with, exit_with_faults
from tokenserver.config.settings import Settings
from tokenserver.config.storage import USUAL_FILE
from tokenserver.errors import BackendUnavailable, Fault, LoadError

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def reporting(command: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """End a command in one line: `WRONG_USE` for faulty files, `NO` where the database does not answer."""

    @wraps(command)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return command(*args, **kwargs)
        except LoadError as error:
            exit_with_faults(error)
        except BackendUnavailable as error:
            exit_with(f"{error.backend}: {error.reason}", NO)

    return wrapped


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
