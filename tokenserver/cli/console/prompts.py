"""Password prompts: a password is typed at a terminal or read from standard input, and never an argument."""

from __future__ import annotations

import sys

import click

from tokenserver.credentials import Secret

MAX_LINE = 4096
"""Bytes of standard input that are read for a password; far more than any password may have."""


def read_password(prompt: str = "Password", *, is_new: bool = False, may_be_empty: bool = False) -> Secret:
    """The password typed at the prompt, twice if it is new; without a terminal, the first line of standard input.

    Raises:
        click.UsageError: the line is not UTF-8.
    """
    if sys.stdin.isatty():
        default = "" if may_be_empty else None
        return Secret(
            click.prompt(
                prompt, default=default, show_default=False, hide_input=True, confirmation_prompt=is_new, err=True
            )
        )
    line = sys.stdin.buffer.readline(MAX_LINE)
    try:
        return Secret(line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8"))
    except UnicodeDecodeError:
        raise click.UsageError("a password must be UTF-8 text") from None
