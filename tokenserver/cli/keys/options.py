"""`--service NAME`: which keys a command is about, where registries have keys of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tokenserver.config.settings import KeySet, Settings


def service_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--service NAME`, else the keys of the whole server."""
    option = click.option(
        "--service", metavar="NAME", help="The keys that sign for this registry; else those of the whole server."
    )
    return option(command)


def chosen_keys(settings: Settings, service: str | None) -> KeySet:
    """The keys that sign for the registry `service`; without a name those that `keys:` of the configuration names.

    Raises:
        click.BadParameter: no registry is called so.
    """
    if service is None:
        return settings.key_sets()[0]
    registry = settings.registry(service)
    if registry is None:
        known = ", ".join(name for entry in settings.registries for name in entry.names)
        raise click.BadParameter(f"no registry is called {service!r}; there are: {known}", param_hint="--service")
    return settings.key_set(registry)
