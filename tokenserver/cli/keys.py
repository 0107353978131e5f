"""`tokenserver keys`: the commands of the signing keys. Each command's module is read only when it is called."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyGroup

_COMMANDS: dict[str, tuple[str, str]] = {
    "export": ("tokenserver.cli.keys_move", "export"),
    "import": ("tokenserver.cli.keys_move", "bring"),
    "init": ("tokenserver.cli.keys_init", "init"),
    "list": ("tokenserver.cli.keys_list", "list_keys"),
    "retire": ("tokenserver.cli.keys_rotate", "retire"),
    "rotate": ("tokenserver.cli.keys_rotate", "rotate"),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def keys() -> None:
    """Make, replace, move and list the keys that sign tokens."""
