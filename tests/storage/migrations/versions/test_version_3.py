"""Version 3: a database of version 2 gets the outbox of an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect
from stored_credentials import NOW, sqlite

from tokenserver.storage.migrations import migrate
from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.tables import SCHEMA, outbox

SERVER = "https://auth.example.com"


def test_a_database_of_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns are those of the table, as in an empty database."""
    old, new = sqlite(tmp_path, "old.db"), sqlite(tmp_path, "new.db")
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "SCHEMA", 2)
        migrate_schema(old, server=SERVER, now=NOW)
    assert not inspect(old).has_table("outbox")
    assert migrate_schema(old, server=SERVER, now=NOW) == (2, SCHEMA)
    migrate_schema(new, server=SERVER, now=NOW)
    found = [[column["name"] for column in inspect(engine).get_columns("outbox")] for engine in (old, new)]
    assert found == [[column.name for column in outbox.columns]] * 2
