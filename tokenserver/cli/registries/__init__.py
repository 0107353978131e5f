"""`tokenserver registries`: all registries at once. Each command's module is read only when it is called."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyGroup

_COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("tokenserver.cli.registries.check", "registries_check"),
    "config": ("tokenserver.cli.registries.config", "registries_config"),
    "list": ("tokenserver.cli.registries.list", "registries_list"),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def registries() -> None:
    """List all registries, check them against keys and policies, and write their configuration."""
