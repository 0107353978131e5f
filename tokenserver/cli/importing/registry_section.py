"""What a registry needs for an imported site: the section `auth` of its configuration, and the keys that it trusts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.cli.registries.section import default_trust, section, trusted
from tokenserver.config.settings import Settings
from tokenserver.documents.files import create_file
from tokenserver.keys.store import load_keys

FOLDER_NAME = "registry"


def section_writer(trust: Path | None) -> Callable[[Path, Settings], None]:
    """Writes, for the first registry of a new site, its section and trusted keys into the folder `registry`.

    `trust` is where the registry will find the keys; None: where its documentation places them.
    """

    def write(draft: Path, settings: Settings) -> None:
        registry = settings.registries[0]
        file = trusted(registry, load_keys(settings.key_set(registry).folder, now=datetime.now(UTC)))
        text = section(settings, registry, trust or default_trust(registry, file), registry.service)
        (draft / FOLDER_NAME).mkdir(mode=0o755)
        name = "auth.json" if registry.compat == "zot" else "auth.yml"
        create_file(draft / FOLDER_NAME / name, f"{text}\n".encode(), mode=0o644)
        create_file(draft / FOLDER_NAME / file.name, file.content.encode(), mode=0o644)

    return write
