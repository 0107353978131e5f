"""`tokenserver registries config`: the registries' side of the trust, for all of them at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.options import config_option, tell_faults
from tokenserver.cli.output_files import write_into
from tokenserver.cli.registries.section import TrustedFile, default_trust, facts, section, trusted
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import load_settings
from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.store import load_keys

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What one registry needs: its section, in a file of this name, and the file that it trusts."""

    registry: RegistrySettings
    folder: str
    name: str
    text: str
    trusted: TrustedFile


@click.command("config")
@click.option(
    "--write",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a folder for each registry into this one: its section and the file of trusted keys.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="The folder in which the registries will find the file of trusted keys; else /etc/distribution or /etc/zot.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
@tell_faults
def registries_config(write: Path | None, trust: Path | None, config: Path | None, as_json: bool) -> None:
    """Print the section about authentication for every registry."""
    settings = load_settings(config)
    prepared = list(_prepare(settings, trust))
    if as_json:
        echo_text(
            json.dumps([facts(one.registry, one.registry.service, one.text, one.trusted) for one in prepared], indent=2)
        )
    for one in prepared:
        if write is not None:
            target = write / one.folder
            write_into(write, one.name, f"{one.text}\n", below=one.folder)
            write_into(write, one.trusted.name, one.trusted.content, below=one.folder)
            if not as_json:
                echo(f"{one.registry.service}: {target / one.name}, {target / one.trusted.name}")
        elif not as_json:
            echo(f"# {one.registry.service} (compat: {one.registry.compat})")
            echo_text(f"{one.text}\n")
    what = "the files" if write is not None else "the sections, and the trusted keys (--write DIR),"
    echo(f"Bring {what} to the registries and restart them: they read both only at their start.", err=True)


def _prepare(settings: Settings, trust: Path | None) -> Iterator[_Prepared]:
    now = datetime.now(UTC)
    rings: dict[str, KeyRing] = {}
    for keys in settings.key_sets():
        if keys.registries:
            rings |= dict.fromkeys((registry.service for registry in keys.registries), load_keys(keys.folder, now=now))
    taken: set[str] = set()
    for registry in settings.registries:
        file = trusted(registry, rings[registry.service])
        place = default_trust(registry, file) if trust is None else trust / file.name
        text = section(settings, registry, place, registry.service)
        name = "bearer.json" if registry.compat == "zot" else "auth.yml"
        yield _Prepared(registry, _folder(registry.service, taken), name, text, file)


def _folder(service: str, taken: set[str]) -> str:
    """A folder's name for a service, which may hold what a path may not; `taken` are those of the others."""
    plain = _UNFIT.sub("_", service)
    plain = f"_{plain}" if plain.startswith(".") else plain
    name, number = plain, 2
    while name.lower() in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name.lower())
    return name
