"""The one place that prints. What files, registries and directories say gets to a terminal without control characters.

Commands print by `echo` and `echo_text`; click's own functions are for this module alone (pyproject.toml bans them).
"""

from __future__ import annotations

import re
import secrets
import sys
from typing import Any

import click

from tokenserver.printable import one_line, printable

# What marks our own colours. It cannot be guessed, so no text from elsewhere can hold it.
_NONCE = secrets.token_hex(8)
_MARK = re.compile(f"\x00{_NONCE}([0-9;]*)m")
_SGR = re.compile(r"\x1b\[([0-9;]*)m")


def style(text: str, **styles: Any) -> str:
    """The text for a part of a line, in click's styles (`fg`, `bold` …)."""
    return _SGR.sub(f"\x00{_NONCE}\\1m", click.style(one_line(text), **styles))


def echo(message: str = "", *, err: bool = False, **styles: Any) -> None:
    """Print one line, in click's styles; a newline in it is printed as an escape."""
    _write(message, one_line, err=err, nl=True, styles=styles)


def echo_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print several lines: a table, a section, JSON."""
    _write(text, printable, err=err, nl=nl, styles={})


def clean(error: click.ClickException) -> click.ClickException:
    """An error of click, which repeats arguments and names of files, fit to be shown."""
    error.message = printable(error.message)  # type: ignore[misc]  # nothing else of it is shown
    if isinstance(error, click.FileError):
        error.ui_filename = one_line(error.ui_filename)  # type: ignore[misc]  # as above
    return error


def _write(text: str, fit: Any, *, err: bool, nl: bool, styles: dict[str, Any]) -> None:
    parts = _MARK.split(text)
    # After each split stands the code of a colour of ours.
    fitted = [f"\x1b[{part}m" if number % 2 else fit(part) for number, part in enumerate(parts)]
    line = _encodable("".join(fitted), sys.stderr if err else sys.stdout)
    click.echo(click.style(line, **styles) if styles else line, err=err, nl=nl)


def _encodable(text: str, stream: Any) -> str:
    """What the terminal's own encoding cannot show, as an escape and not as an error."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
