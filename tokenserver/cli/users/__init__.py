"""`tokenserver users`: the commands that read and edit an htpasswd file."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "delete": LazyCommand("tokenserver.cli.users.change", "users_delete", "Remove a user."),
    "disable": LazyCommand("tokenserver.cli.users.account", "users_disable", "Reject a user's logins from now on."),
    "enable": LazyCommand("tokenserver.cli.users.account", "users_enable", "Accept a user's logins, or until when."),
    "list": LazyCommand("tokenserver.cli.users.list", "users_list", "List users, hashes and accounts."),
    "set": LazyCommand("tokenserver.cli.users.change", "users_set", "Add a user, or change a password."),
    "verify": LazyCommand("tokenserver.cli.users.list", "users_verify", "Verify a user's password."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def users() -> None:
    """Add, change, disable, remove, list and verify the users of an htpasswd file.

    The file is the one in the configuration, or the one given with --file.
    """
