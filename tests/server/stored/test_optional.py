"""A server without a storage pays nothing for it."""

from __future__ import annotations

import subprocess
import sys

from tokenserver.config.settings import Settings
from tokenserver.server.stored.live import LiveStorage
from tokenserver.server.stored.optional import optional_storage


def test_none_is_made_where_none_is_configured(settings: Settings) -> None:
    """None at all."""
    assert optional_storage(settings) is None


def test_one_is_made_where_one_is_configured(stored: Settings) -> None:
    """Nothing is connected: there is no file yet."""
    storage = optional_storage(stored)
    assert isinstance(storage, LiveStorage)
    assert stored.storage is not None
    assert stored.storage.file is not None
    assert not stored.storage.file.exists()


def test_the_server_imports_nothing_of_it() -> None:
    """In a process of its own, with all that serves requests."""
    code = "import sys, tokenserver.web.application; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported = set(found.stdout.split())
    assert "flask" in imported
    assert imported & {"sqlalchemy", "alembic", "psycopg"} == set()
