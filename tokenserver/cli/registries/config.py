"""`tokenserver registries config`: prints or writes the auth section and trusted keys of every registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.output_files import write_into
from tokenserver.cli.registries.section import TrustedFile, default_trust, facts, section, trusted
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.load import load_settings
from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.store import load_keys

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The files for one registry: its auth section, called `name`, and the keys that it trusts."""

    registry: RegistrySettings
    folder: str
    name: str
    text: str
    trusted: TrustedFile


@click.command("config")
@click.option(
    "--write",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a subfolder for each registry here, with its auth section and trusted keys.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="Folder of the trusted keys on the registries.  [default: /etc/distribution or /etc/zot]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
@report_faults
def registries_config(write: Path | None, trust: Path | None, config: Path | None, as_json: bool) -> None:
    """Print or write the auth section of every registry's configuration."""
    settings = load_settings(config)
    prepared = list(_prepare(settings, trust))
    if as_json:
        echo_json([facts(one.registry, one.registry.service, one.text, one.trusted) for one in prepared], indent=2)
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
    what = "the files" if write is not None else "the sections and the trusted keys (see --write)"
    echo(f"Install {what} at the registries and restart them: they read both only at start-up.", err=True)


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
    """A folder name for a service, whose name may hold characters that a path may not; `taken` by the others."""
    plain = _UNFIT.sub("_", service)
    plain = f"_{plain}" if plain.startswith(".") else plain
    name, number = plain, 2
    while name.lower() in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name.lower())
    return name
