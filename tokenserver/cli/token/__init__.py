"""`tokenserver token`: the commands about keys and tokens that somebody has in hand."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "inspect": LazyCommand("tokenserver.cli.token.inspect", "token_inspect", "Say what a key or token is."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def token() -> None:
    """Look at access keys and tokens.

    `tokenserver doctor --token` finds out why a registry rejects a token.
    """
