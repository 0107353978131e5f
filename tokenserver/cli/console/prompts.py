"""Prompts for secrets: they are typed at a terminal or read from standard input, and never an argument."""

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
    return _decoded(line.removesuffix(b"\n").removesuffix(b"\r"), "a password")


def read_pasted(prompt: str, *, limit: int) -> Secret:
    """The key or token pasted at the prompt; without a terminal, all of standard input, up to `limit` bytes.

    Blanks, line ends and quotes around it, which are easily copied with it, are removed.

    Raises:
        click.UsageError: it is not UTF-8.
    """
    if sys.stdin.isatty():
        typed = Secret(click.prompt(prompt, hide_input=True, err=True))
    else:
        typed = _decoded(sys.stdin.buffer.read(limit), "a key or token")
    return Secret(typed.reveal().strip().strip("'\"").strip())


def _decoded(content: bytes, name: str) -> Secret:
    try:
        return Secret(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise click.UsageError(f"{name} must be UTF-8 text") from None
