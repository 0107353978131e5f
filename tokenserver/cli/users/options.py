"""Options of the `users` commands: which htpasswd file is meant, and until when an account can be used."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tokenserver.authn.htpasswd.account import End, parse_end
from tokenserver.cli.options import config_option
from tokenserver.errors import Fault, LoadError

NEVER = "never"


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--file`; or `--config` and `--source`, to name one of its user sources."""
    options = (
        click.option(
            "--file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The htpasswd file; else the one in the configuration.",
        ),
        config_option,
        click.option(
            "--source", metavar="SOURCE", help="The user source, if the configuration has several htpasswd files."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def until_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--until`: an `End`, `NEVER`, or None if it is not given."""
    return click.option(
        "--until",
        metavar="DATE",
        callback=_end,
        help="The last day (UTC) on which the user can log in, an instant such as 2027-01-31T18:00:00Z, or never.",
    )(command)


def users_file(file: Path | None, config: Path | None, source: str | None) -> Path:
    """The given file, else the one in the configuration.

    Raises:
        LoadError: the configuration is faulty, or has no file or several.
    """
    if file is not None:
        if source is not None:
            raise click.UsageError(
                "--file and --source exclude each other: --source chooses among the files of the configuration"
            )
        return file
    # Not needed with --file, and its models take a while to import.
    from tokenserver.config.load import config_path, load_settings  # noqa: PLC0415

    settings = load_settings(config)
    files = {
        entry.htpasswd.name: entry.htpasswd.file for entry in settings.authentication if entry.htpasswd is not None
    }
    where = str(config_path(config))
    known = ", ".join(files)
    if source is not None:
        if source not in files:
            problem = f"no htpasswd file is named {source!r}; configured: {known or 'none'}"
            raise LoadError([Fault(where, 0, "authentication", problem)])
        return files[source]
    if len(files) != 1:
        problem = f"has several htpasswd files; fix: add --source with one of: {known}"
        if not files:
            problem = "has no htpasswd file; fix: add one, or use --file FILE"
        raise LoadError([Fault(where, 0, "authentication", problem)])
    return next(iter(files.values()))


def _end(_context: click.Context, _parameter: click.Parameter, value: str | None) -> End | str | None:
    if value is None or value == NEVER:
        return value
    try:
        end = parse_end(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}, and not {NEVER!r}") from error
    if end.moment <= time.time():
        raise click.BadParameter(f"{value!r} has passed; fix: to end an account now, use tokenserver users disable")
    return end
