"""The fixtures of the storage tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from followed_storage import Site, followed_storage


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A database in a file, with its store."""
    with followed_storage(tmp_path) as found:
        yield found
