"""Files that a rejected configuration refers to, so that their faults can be reported together with its own.

Also where its server listens, so that a server that runs with an earlier configuration can still be found, and how its
log looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenserver.config.keys import USUAL_FOLDER
from tokenserver.errors import Fault, LoadError


@dataclass(frozen=True, slots=True)
class ReferencedFiles:
    """The files that rejected settings refer to, as far as they can be determined, and `server.listen` as written.

    `certificate` is that of `server.tls`, and `log_format` is `log.format`, if it is one.
    """

    policies: Path | None
    keys: Path | None
    users: tuple[Path, ...]
    listen: str | None = None
    certificate: Path | None = None
    log_format: str | None = None


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
    server = value.get("server")
    server = server if isinstance(server, dict) else {}
    listen, tls = server.get("listen"), server.get("tls")
    log = value.get("log")
    log_format = log.get("format") if isinstance(log, dict) else None
    return ReferencedFiles(
        _path(value.get("policies"), base),
        _path(folder, base),
        tuple(file for file in users if file),
        listen if isinstance(listen, str) else None,
        _path(tls.get("certificate"), base) if isinstance(tls, dict) else None,
        log_format if log_format in ("console", "json") else None,
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
