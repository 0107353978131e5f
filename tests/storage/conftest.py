"""Databases for the tests of the storage: a new file of SQLite for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from followed_storage import Site, followed_storage
from stored_credentials import new_database

from tokenserver.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with its tables."""
    found = new_database(tmp_path)
    yield found
    found.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A database with its store, and the copies that workers have of it."""
    with followed_storage(tmp_path) as found:
        yield found
