"""`tokenserver keys`: the commands for signing keys."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "export": LazyCommand("tokenserver.cli.keys.transfer", "keys_export", "Export what registries trust, or a key."),
    "import": LazyCommand("tokenserver.cli.keys.transfer", "keys_import", "Import a signing key made elsewhere."),
    "init": LazyCommand("tokenserver.cli.keys.init", "keys_init", "Create the token CA and a first key."),
    "list": LazyCommand("tokenserver.cli.keys.list", "keys_list", "List signing keys and their next steps."),
    "retire": LazyCommand("tokenserver.cli.keys.rotate", "keys_retire", "Drop a key that does not sign."),
    "rotate": LazyCommand("tokenserver.cli.keys.rotate", "keys_rotate", "Replace the key that signs."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def keys() -> None:
    """Create, rotate, move and list the keys that sign tokens."""
