"""`tokenserver registries list`: the registries, with the settings and keys of their tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tokenserver.cli.console.table import table
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.load import load_settings
from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.errors import LoadError
from tokenserver.keys.store import load_keys

UNKNOWN = "?"
"""The algorithm of keys that do not load; `registries check` says why."""


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
@report_faults
def registries_list(config: Path | None, as_json: bool) -> None:
    """List the registries that tokens are signed for, with their issuer, keys and token lifetimes."""
    settings = load_settings(config)
    key_sets = {one.service: keys for keys in settings.key_sets() for one in keys.registries}
    algorithms = {folder: _algorithm(folder) for folder in {keys.folder for keys in key_sets.values()}}
    facts = [
        _facts(settings, registry, folder, algorithms[folder])
        for registry in settings.registries
        for folder in [key_sets[registry.service].folder]
    ]
    if as_json:
        echo_json(facts, indent=2)
        return
    heads = ("SERVICE", "ALSO", "COMPAT", "SIGNED WITH", "TOKENS LIVE", "ISSUER", "KEYS")
    rows = [_row(settings, registry, fact) for registry, fact in zip(settings.registries, facts, strict=True)]
    echo_text(table(heads, rows))
    if None in algorithms.values():
        echo(err=True)
        echo("Some keys do not load. To see why: tokenserver registries check", err=True)


def _algorithm(folder: Path) -> str | None:
    try:
        return load_keys(folder, now=datetime.now(UTC)).active.algorithm.value
    except LoadError:
        return None


def _facts(settings: Settings, registry: RegistrySettings, folder: Path, algorithm: str | None) -> dict[str, Any]:
    return {
        "service": registry.service,
        "also": list(registry.also),
        "issuer": settings.issuer_of(registry),
        "compat": registry.compat,
        "algorithm": algorithm,
        "grant": registry.grant,
        "token_lifetime": {"default": registry.token_lifetime.default, **dict(registry.token_lifetime.of_actions)},
        "keys": str(folder),
        "url": registry.url,
    }


def _row(settings: Settings, registry: RegistrySettings, facts: dict[str, Any]) -> list[str]:
    return [
        registry.service,
        " ".join(registry.also) or "-",
        registry.compat,
        facts["algorithm"] or UNKNOWN,
        str(registry.token_lifetime),
        facts["issuer"],
        "of all" if facts["keys"] == str(settings.keys.folder) else facts["keys"],
    ]
