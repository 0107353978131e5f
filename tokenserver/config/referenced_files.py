"""Files that a rejected configuration refers to, so that their faults can be reported together with its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenserver.config.keys import USUAL_FOLDER
from tokenserver.errors import Fault, LoadError


@dataclass(frozen=True, slots=True)
class ReferencedFiles:
    """The files that rejected settings refer to, as far as they can be determined."""

    policies: Path | None
    keys: Path | None
    users: tuple[Path, ...]


class SettingsRefused(LoadError):
    """Settings were rejected. `named` are the files that they refer to, which can be checked nevertheless."""

    def __init__(self, faults: Sequence[Fault], named: ReferencedFiles) -> None:
        self.named = named
        super().__init__(faults)


def referenced_files_in(value: Mapping[str, Any], base: Path) -> ReferencedFiles:
    """The files that a configuration refers to, relative to `base`. The configuration is not assumed to be valid."""
    keys = value.get("keys")
    folder = keys.get("folder", USUAL_FOLDER) if isinstance(keys, dict) else keys
    users = [_path(file, base) for file in _htpasswd_files(value.get("authentication"))]
    return ReferencedFiles(
        _path(value.get("policies"), base), _path(folder, base), tuple(file for file in users if file)
    )


def _htpasswd_files(authentication: object) -> Iterator[object]:
    for source in authentication if isinstance(authentication, list) else ():
        section = source.get("htpasswd") if isinstance(source, dict) else None
        if isinstance(section, dict):
            yield section.get("file")


def _path(given: object, base: Path) -> Path | None:
    """The path, or None if the settings would not accept it as one."""
    if not isinstance(given, str) or not given or "\0" in given:
        return None
    try:
        return base / Path(given).expanduser()
    except RuntimeError:  # a home that does not exist
        return None
