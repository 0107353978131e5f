"""`tokenserver policy`: the commands that read policies. Each command's module is read only when it is called."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyGroup

_COMMANDS: dict[str, tuple[str, str]] = {}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def policy() -> None:
    """Test policies, and find out who may do what, why, and what a change would change."""
