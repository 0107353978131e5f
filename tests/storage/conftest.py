"""Databases for the tests of the storage: a new file of SQLite for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_credentials import made, sqlite

from tokenserver.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with its tables."""
    found = made(sqlite(tmp_path))
    yield found
    found.close()
