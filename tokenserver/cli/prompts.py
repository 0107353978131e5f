"""A password for one login: typed at a prompt, or the first line of standard input."""

from __future__ import annotations

import sys

import click

from tokenserver.credentials import Secret

MAX_LINE = 4096


def read_password() -> Secret:
    """The password, which is never shown.

    Raises:
        UsageError: it is not UTF-8.
    """
    if sys.stdin.isatty():
        return Secret(click.prompt("Password", hide_input=True, err=True))
    line = sys.stdin.buffer.readline(MAX_LINE)
    try:
        return Secret(line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8"))
    except UnicodeDecodeError:
        raise click.UsageError("a password must be UTF-8 text") from None
