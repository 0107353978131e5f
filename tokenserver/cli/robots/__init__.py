"""`tokenserver robots`: the commands for robots, which policy files declare, and their secrets."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "secret": LazyCommand("tokenserver.cli.robots.secret", "secret", "Make secrets of robots."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def robots() -> None:
    """Robots are machines that policy files declare by name. They log in with secrets of their own."""
