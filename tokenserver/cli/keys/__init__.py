"""`tokenserver keys`: the commands of the signing keys. Each command's module is read only when it is called."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyGroup

_COMMANDS: dict[str, tuple[str, str]] = {
    "export": ("tokenserver.cli.keys.transfer", "export"),
    "import": ("tokenserver.cli.keys.transfer", "bring"),
    "init": ("tokenserver.cli.keys.init", "init"),
    "list": ("tokenserver.cli.keys.list", "list_keys"),
    "retire": ("tokenserver.cli.keys.rotate", "retire"),
    "rotate": ("tokenserver.cli.keys.rotate", "rotate"),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def keys() -> None:
    """Make, replace, move and list the keys that sign tokens."""
