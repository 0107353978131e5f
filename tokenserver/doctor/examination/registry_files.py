"""Reads a registry's files: its configuration and its trusted keys.

They belong to another program and are only compared, so their owner and mode are not checked; their size is bounded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenserver.doctor.facts import JwksFile, Setup, TrustFile
from tokenserver.doctor.registry.distribution import parse_environment, read_distribution
from tokenserver.doctor.registry.trust_files import read_bundle, read_jwks
from tokenserver.doctor.registry.verifiers import Trusted, trusted_files
from tokenserver.doctor.registry.zot import looks_like_zot, read_zot
from tokenserver.documents.files import read_bounded
from tokenserver.errors import Fault, LoadError

MAX_CONFIGURATION = 256 * 1024
MAX_TRUST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RegistryFiles:
    """A registry's configuration and the files that it names; None if it names none."""

    setup: Setup
    bundle: TrustFile | None
    jwks: JwksFile | None
    trusted: Trusted

    def absent(self) -> set[str]:
        """The paths of files of trusted keys that do not exist on this machine."""
        return {file.path for file in (self.bundle, self.jwks) if file is not None and file.is_absent}


def read_registry_files(config: Path | None, environment: Path | None, trust: Path | None) -> RegistryFiles:
    """Read a registry's configuration. `trust` is a local copy of its file of trusted keys.

    Raises:
        LoadError: a file cannot be read, or is not a registry's configuration. A file of trusted keys that cannot be
            read is a finding, not an error.
    """
    text = None if config is None else _text(config)
    variables = {} if environment is None else parse_environment(_text(environment), str(environment))
    if text is not None and looks_like_zot(text):
        setup = read_zot(text, str(config))
    else:
        setup = read_distribution(text, str(config or environment), variables)
    folder = Path() if config is None else config.parent
    named = {name: _placed(name, folder) for name in (setup.bundle, setup.jwks) if name is not None}
    bundle, jwks = setup.bundle, setup.jwks
    contents: dict[str, bytes | str] = {name: _content(path) for name, path in named.items()}
    if trust is not None:
        copy = read_bounded(trust, limit=MAX_TRUST)
        replaced = jwks if _is_json(copy) and jwks is not None else bundle or jwks
        if replaced is not None:
            contents[replaced] = copy
    if setup.is_zot and bundle is not None and _is_json(contents[bundle]):
        bundle, jwks = None, bundle
    return RegistryFiles(
        setup,
        None if bundle is None else _bundle(contents[bundle], bundle),
        None if jwks is None else _jwks(contents[jwks], jwks),
        trusted_files(_known(contents, bundle), _json(_known(contents, jwks))),
    )


def _text(path: Path) -> str:
    content = read_bounded(path, limit=MAX_CONFIGURATION)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LoadError([Fault(str(path), line, "", "is not UTF-8 text")]) from error


def _placed(name: str, folder: Path) -> Path:
    """Resolve a path of the configuration: as it is, or relative to the configuration file."""
    relative = folder / name
    return relative if not Path(name).exists() and relative.exists() else Path(name)


def _content(path: Path) -> bytes | str:
    """The content, or why it could not be read."""
    try:
        return read_bounded(path, limit=MAX_TRUST)
    except LoadError as error:
        hint = "; if the registry sees another file there, pass a copy of it by --trust FILE"
        return f"{error.faults[0].message}{hint}"


def _known(contents: dict[str, bytes | str], name: str | None) -> bytes:
    content = contents.get(name or "")
    return content if isinstance(content, bytes) else b""


def _is_json(content: bytes | str) -> bool:
    return isinstance(content, bytes) and content.lstrip().startswith(b"{")


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None


def _bundle(content: bytes | str, name: str) -> TrustFile:
    if isinstance(content, bytes):
        return read_bundle(content, name)
    return TrustFile(name, content, is_absent=not Path(name).exists())


def _jwks(content: bytes | str, name: str) -> JwksFile:
    if isinstance(content, bytes):
        return read_jwks(content, name)
    return JwksFile(name, content, is_absent=not Path(name).exists())
