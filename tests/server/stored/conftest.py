"""The fixtures of the tests of a server's storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_policies import settings
from stored_credentials import new_database
from tests_web_server import server_folder

from tokenserver.config.settings import Settings
from tokenserver.config.storage import StorageSettings
from tokenserver.storage.database import Database
from tokenserver.storage.state_keys import init_state_keys

__all__ = ["server_folder", "settings"]


@pytest.fixture
def stored(settings: Settings, tmp_path: Path) -> Settings:
    """The settings of a whole server with a storage that nobody has used yet."""
    init_state_keys(settings.keys.folder)
    storage = StorageSettings.model_construct(url=tmp_path / "state" / "tokenserver.db", password_file=None)
    return settings.model_copy(update={"storage": storage, "storage_grace": 900})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with its tables."""
    found = new_database(tmp_path)
    yield found
    found.close()
