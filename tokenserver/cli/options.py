"""What commands share: `--config`, how faults are told, and a token that is pasted or stands in a file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import IO, Any, NoReturn, ParamSpec, TypeVar

import click

from tokenserver.cli.terminal import echo
from tokenserver.errors import LoadError, reported_faults, spell_more

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


def fault_facts(error: LoadError) -> dict[str, Any]:
    """What `--json` tells of the faults: the first ones, and with `more` how many others there are."""
    told, more = reported_faults(error.faults)
    faults = [{"file": one.file, "line": one.line, "path": one.path, "message": one.message} for one in told]
    return {"faults": faults, "more": more} if more else {"faults": faults}


def refuse(error: LoadError, *, code: int = WRONG_USE) -> NoReturn:
    """Print the first faults, and how many more there are, to standard error, and exit with `code`."""
    told, more = reported_faults(error.faults)
    for fault in told:
        echo(str(fault), err=True)
    if more:
        echo(spell_more(more), err=True)
    count = error.count
    echo(f"{count:,} fault{'s' if count != 1 else ''} found, nothing was done.", fg="red", err=True)
    raise SystemExit(code)
