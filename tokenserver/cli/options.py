"""What commands share: `--config`, how faults are told, and a token that is pasted or stands in a file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import IO, Any, NoReturn, ParamSpec, TypeVar

import click

from tokenserver.errors import LoadError

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

WRONG_USE = 2

# A JWT (its header begins with `{`, and so the text with `ey`), or a token server's answer that holds one.
_PASTED = re.compile(r"""\s*["']?(?:(?:Bearer\s+)?ey[\w-]*\.[\w-]*\.[\w-]*["']?\s*|\{.*)""", re.ASCII | re.DOTALL)


class TokenFile(click.File):
    """A file that holds a token (`-` is standard input), or the token itself. What was given is never repeated."""

    name = "token"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IO[Any]:
        """The text to read the token from."""
        if isinstance(value, str) and _PASTED.fullmatch(value):
            return io.StringIO(value)
        try:
            found: IO[Any] = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail("is neither a token nor a file that can be read", param, ctx)
        return found


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


def refuse(error: LoadError, *, code: int = WRONG_USE) -> NoReturn:
    """Print every fault to standard error and exit with this code."""
    for fault in error.faults:
        click.echo(str(fault), err=True)
    count = len(error.faults)
    click.secho(f"{count} fault{'s' if count != 1 else ''} found, nothing was done.", fg="red", err=True)
    raise SystemExit(code)
