"""Terminal output: text from files, registries and directories is printed without control characters.

Commands print with `echo` and `echo_text`; click's own functions are banned everywhere else (pyproject.toml).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from typing import Any

import click

from tokenserver.documents.json_output import json_text
from tokenserver.printable import one_line, printable
from tokenserver.process.color_choice import wants_color

# Marks our own colours. It cannot be guessed, so no text from elsewhere contains it.
_NONCE = secrets.token_hex(8)
_MARK = re.compile(f"\x00{_NONCE}([0-9;]*)m")
_SGR = re.compile(r"\x1b\[([0-9;]*)m")


class OutputFailed(Exception):
    """Standard output cannot be written to; `reason` is the system's. No command can do anything about it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class OutputClosed(OutputFailed):
    """Whatever read standard output has closed it."""


def style(text: str, **styles: Any) -> str:
    """Part of a line in click's styles (`fg`, `bold` …), to be printed with `echo` or `echo_text`."""
    return _SGR.sub(f"\x00{_NONCE}\\1m", click.style(one_line(text), **styles))


def echo(message: str = "", *, err: bool = False, **styles: Any) -> None:
    """Print one line in click's styles; a newline inside it is escaped.

    Raises:
        OutputFailed: standard output cannot be written to. What standard error does not take is dropped.
    """
    _write(message, one_line, err=err, nl=True, styles=styles)


def echo_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print several lines: a table, a section, JSON. Raises as `echo`."""
    _write(text, printable, err=err, nl=nl, styles={})


def echo_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON, for other programs. Raises as `echo`."""
    echo_text(json_text(value, indent=indent))


def width(default: int) -> int:
    """How many columns standard output has; `default` if it is no terminal, or does not say."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or default
    except (AttributeError, OSError, ValueError):
        return default


def clean(error: click.ClickException) -> click.ClickException:
    """The click error, which quotes arguments and file names, made safe to print."""
    error.message = printable(error.message)  # type: ignore[misc]  # click prints nothing else of it
    if isinstance(error, click.FileError):
        error.ui_filename = one_line(error.ui_filename)  # type: ignore[misc]  # as above
    return error


def _write(text: str, fit: Any, *, err: bool, nl: bool, styles: dict[str, Any]) -> None:
    parts = _MARK.split(text)
    # Every second part is the code of one of our own colours.
    fitted = [f"\x1b[{part}m" if number % 2 else fit(part) for number, part in enumerate(parts)]
    stream = sys.stderr if err else sys.stdout
    if stream is None and not err:  # Python's value for a descriptor that is closed
        raise OutputFailed("it is closed")
    line = _encodable("".join(fitted), stream)
    try:
        click.echo(click.style(line, **styles) if styles else line, err=err, nl=nl, color=_color_of(stream))
    except OSError as error:
        if not err:
            kind = OutputClosed if error.errno == errno.EPIPE else OutputFailed
            raise kind(error.strerror or type(error).__name__) from error


def _color_of(stream: Any) -> bool | None:
    """Whether colours are kept; None where that depends on whether the stream is a terminal, which click finds out."""
    is_terminal = stream is not None and not stream.closed and bool(stream.isatty())
    wanted = wants_color(is_terminal)
    return None if wanted == is_terminal else wanted


def _encodable(text: str, stream: Any) -> str:
    """The text with an escape for each character that the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
