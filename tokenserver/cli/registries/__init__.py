"""`tokenserver registries`: the commands that cover all registries at once, and `registry-config` for one."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "check": LazyCommand(
        "tokenserver.cli.registries.check",
        "registries_check",
        "Check all registries, keys and policies.",
    ),
    "config": LazyCommand(
        "tokenserver.cli.registries.config", "registries_config", "Print or write all auth sections."
    ),
    "list": LazyCommand(
        "tokenserver.cli.registries.list", "registries_list", "List registries, issuers and lifetimes."
    ),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def registries() -> None:
    """List all registries, check them against keys and policies, and write their configuration."""
