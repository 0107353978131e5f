"""`tokenserver access-keys`: the commands for personal access keys."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "create": LazyCommand("tokenserver.cli.access_keys.create", "access_keys_create", "Make a key for a user."),
    "list": LazyCommand("tokenserver.cli.access_keys.list", "access_keys_list", "List keys, owners and ends."),
    "revoke": LazyCommand("tokenserver.cli.access_keys.revoke", "access_keys_revoke", "End keys now."),
    "rotate": LazyCommand("tokenserver.cli.access_keys.create", "access_keys_rotate", "Replace a key by a new one."),
    "show": LazyCommand("tokenserver.cli.access_keys.list", "access_keys_show", "Show one key, without its secret."),
}


@click.group("access-keys", cls=LazyGroup, commands_at=_COMMANDS)
def access_keys() -> None:
    """Make, rotate, end and list personal access keys.

    People use them in place of their passwords. A key can do at most what its owner can, less what narrows it, and ends
    on a date. A running server knows changes within two seconds.
    """
