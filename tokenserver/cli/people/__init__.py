"""`tokenserver people`: the commands for people who log in at OpenID providers."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand("tokenserver.cli.people.list", "people_list", "List who has logged in."),
    "unpin": LazyCommand("tokenserver.cli.people.unpin", "people_unpin", "Free a name for somebody else."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def people() -> None:
    """List people who log in at OpenID providers, and free names.

    The first login pins a name to the person that the provider knows by it.
    """
