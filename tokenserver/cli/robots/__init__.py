"""`tokenserver robots`: the commands for robots, which policy files declare, and their secrets."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand("tokenserver.cli.robots.list", "robots_list", "List robots, owners and secrets."),
    "secret": LazyCommand("tokenserver.cli.robots.secret", "secret", "Make, rotate and end secrets."),
    "show": LazyCommand("tokenserver.cli.robots.list", "robots_show", "Show one robot and its secrets."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def robots() -> None:
    """Robots are machines that policy files declare by name. They log in with secrets of their own."""
