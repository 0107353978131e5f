"""Operations on the ring of a key folder, and pairs of keys that come from elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tokenserver.keys.key_pair import KeyPair, issue_pair
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole folder of keys, made at NOW."""
    made = tmp_path / "keys"
    init_keys(made, issuer="a", algorithm=Algorithm.ES256, now=NOW)
    return made


@pytest.fixture
def pair(folder: Path) -> KeyPair:
    """A key issued by this folder's CA that is not in the ring yet."""
    return issue_pair(KeyFolder(folder), issuer="a", algorithm=Algorithm.ES256, lifetime=DAY, now=NOW)


def carried(pair: KeyPair, path: Path) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(pair.key_pem + pair.certificate_pem)
    return path
