"""`--service NAME`: the key set that a command works on, if registries have their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tokenserver.config.settings import KeySet, Settings


def service_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--service NAME`; by default the keys of the whole server."""
    option = click.option(
        "--service", metavar="NAME", help="The keys of this registry.  [default: the keys of the whole server]"
    )
    return option(command)


def chosen_keys(settings: Settings, service: str | None) -> KeySet:
    """The keys that sign for the registry `service`; without a name, those of the top-level `keys:` setting.

    Raises:
        click.BadParameter: no registry has that name.
    """
    if service is None:
        return settings.key_sets()[0]
    registry = settings.registry(service)
    if registry is None:
        known = ", ".join(name for entry in settings.registries for name in entry.names)
        raise click.BadParameter(f"no registry is named {service!r}; configured: {known}", param_hint="--service")
    return settings.key_set(registry)
