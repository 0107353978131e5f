"""`tokenserver logins`: the commands for refresh tokens and sessions, which clients keep instead of a password."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand("tokenserver.cli.logins.list", "logins_list", "List refresh tokens and sessions."),
    "revoke": LazyCommand("tokenserver.cli.logins.revoke", "logins_revoke", "End refresh tokens and sessions."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def logins() -> None:
    """List and end what clients keep after a login.

    These are the refresh tokens of people (docker's identity tokens) and the sessions of workloads.
    """
