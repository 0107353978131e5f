"""Key folders that `init_keys` made, and the faults of loading one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys, load_keys

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)

ISSUER = "auth.example.com"


def make(folder: Path, algorithm: Algorithm = Algorithm.ES256, now: datetime = NOW) -> bool:
    return init_keys(folder, issuer=ISSUER, algorithm=algorithm, now=now)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A whole folder of keys."""
    folder = tmp_path / "keys"
    assert make(folder) is True
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def active_id(folder: Path) -> str:
    [path] = (folder / "signing").glob("*.key")
    return path.stem


def refused(folder: Path, now: datetime = NOW) -> list[tuple[str, str]]:
    """The faults of a load, with the folder called KEYS and the key called ID."""
    key_id = next((path.stem for path in (folder / "signing").glob("2*.*")), "")
    with pytest.raises(LoadError) as error:
        load_keys(folder, now=now)
    told = [(fault.file, fault.message) for fault in error.value.faults]
    plain = [tuple(text.replace(str(folder), "KEYS").replace(key_id or "\0", "ID") for text in row) for row in told]
    return [(file, message) for file, message in plain]
