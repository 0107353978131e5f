"""What every command shares: `--config`, and how faults are told."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from tokenserver.errors import LoadError

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

WRONG_USE = 2


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config FILE`, else `TOKENSERVER_CONFIG`, else `tokenserver.yaml` here."""
    option = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The configuration; else TOKENSERVER_CONFIG, else tokenserver.yaml here.",
    )
    return option(command)


def tell_faults(command: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Show a `LoadError` as a list of faults and end with exit code 2."""

    @wraps(command)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return command(*args, **kwargs)
        except LoadError as error:
            refuse(error)

    return wrapped


def refuse(error: LoadError) -> NoReturn:
    """Print every fault to standard error and exit with 2."""
    for fault in error.faults:
        click.echo(str(fault), err=True)
    count = len(error.faults)
    click.secho(f"{count} fault{'s' if count != 1 else ''} found, nothing was done.", fg="red", err=True)
    raise SystemExit(WRONG_USE)
