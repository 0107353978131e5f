"""The root of the commands."""

from __future__ import annotations

import click

from tokenserver import __version__
from tokenserver.cli.lazy import LazyGroup

_COMMANDS = {
    "check": ("tokenserver.cli.check", "check"),
    "doctor": ("tokenserver.cli.doctor", "doctor"),
    "init": ("tokenserver.cli.init", "init"),
    "keys": ("tokenserver.cli.keys", "keys"),
    "ldap": ("tokenserver.cli.ldap", "ldap"),
    "policy": ("tokenserver.cli.policy", "policy"),
    "registries": ("tokenserver.cli.registries", "registries"),
    "registry-config": ("tokenserver.cli.registries.registry_config", "registry_config"),
    "serve": ("tokenserver.cli.serve", "serve"),
    "users": ("tokenserver.cli.users", "users"),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tokenserver")
def main() -> None:
    """A token authentication server for container registries.

    Start with `tokenserver init DIR`, then `tokenserver serve --config DIR/tokenserver.yaml`.
    """
