"""Options and errors that commands share: `--config`, the report of a `LoadError`, and an argument that is a token."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

import click

from tokenserver.cli.exits import NO, WRONG_USE
from tokenserver.cli.terminal import echo
from tokenserver.errors import BackendUnavailable, LoadError, TokenserverError, reported_faults, spell_more
from tokenserver.printable import shell_word

# A JWT (its header begins with `{`, so its text begins with `ey`), or a token server's JSON answer that holds one.
_PASTED = re.compile(r"""\s*["']?(?:(?:Bearer\s+)?ey[\w-]*\.[\w-]*\.[\w-]*["']?\s*|\{.*)""", re.ASCII | re.DOTALL)

# A command in a fault that reads the configuration.
_NAMED = re.compile(r"(?<![\w./-])tokenserver (?:keys|users|storage) [a-z]+(?: FILE)?\b")


class TokenFile(click.File):
    """A file that holds a token (`-` for standard input), or the token itself. Errors never repeat the value."""

    name = "token"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IO[Any]:
        """A stream to read the token from."""
        if isinstance(value, str) and _PASTED.fullmatch(value):
            return io.StringIO(value)
        try:
            found: IO[Any] = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail("is neither a token nor a readable file", param, ctx)
        return found


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config FILE`; by default `TOKENSERVER_CONFIG`, else `tokenserver.yaml` in the current folder."""
    option = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration file.  [default: $TOKENSERVER_CONFIG, else ./tokenserver.yaml]",
    )
    return option(command)


@contextmanager
def report_errors(*, outage: str | None = None, is_usage: bool = False) -> Iterator[None]:
    """End a command where it fails, as a decorator: a `LoadError` as a list of faults, with `WRONG_USE`.

    `outage` is the line for a `BackendUnavailable`, with `{backend}` and `{reason}` in it, and the exit code is `NO`;
    None: it is like every other error of this program. Those are wrong use with `is_usage`, and raised without.
    """
    try:
        yield
    except LoadError as error:
        exit_with_faults(error)
    except TokenserverError as error:
        if outage is not None and isinstance(error, BackendUnavailable):
            exit_with(outage.format(backend=error.backend, reason=error.reason), NO)
        if is_usage:
            raise click.UsageError(str(error)) from error
        raise


report_faults = report_errors()
"""A decorator: print a `LoadError` of the command as a list of faults, and exit with `WRONG_USE`."""


def faults_as_json(error: LoadError) -> dict[str, Any]:
    """The faults for `--json`: the first ones, and in `more` how many others there are."""
    shown, more = reported_faults(error.faults)
    faults = [{"file": one.file, "line": one.line, "path": one.path, "message": one.message} for one in shown]
    return {"faults": faults, "more": more} if more else {"faults": faults}


def exit_with_faults(error: LoadError, *, code: int = WRONG_USE) -> NoReturn:
    """Print the first faults and the number of the others to standard error, and exit with `code`."""
    for line in fault_lines(error):
        echo(line, err=True)
    echo(f"{spell_faults(error)} found; nothing was done.", fg="red", err=True)
    raise SystemExit(code)


def fault_lines(error: LoadError) -> list[str]:
    """A line for each of the first faults, and one with the number of the others, if there are any."""
    shown, more = reported_faults(error.faults)
    return [_with_config(str(fault)) for fault in shown] + ([spell_more(more)] if more else [])


def spell_faults(error: LoadError) -> str:
    """How many faults there are, as `2 faults`."""
    return f"{error.count:,} fault{'s' if error.count != 1 else ''}"


def _with_config(text: str) -> str:
    """The text, in which commands that it names have the `--config` of the current command, so that they work here."""
    context = click.get_current_context(silent=True)
    config = None if context is None else context.params.get("config")
    return text if config is None else _NAMED.sub(lambda named: f"{named[0]} --config {shell_word(config)}", text)


def exit_with(message: str, code: int = WRONG_USE) -> NoReturn:
    """Print one line to standard error, and exit with `code`."""
    echo(message, fg="red", err=True)
    raise SystemExit(code)
