"""Version 2: what version 1 made is migrated, and the result is what an empty database gets."""

from __future__ import annotations

from pathlib import Path

from old_databases import SERVER, migrate_only_to
from sqlalchemy import Engine, inspect
from stored_credentials import NOW, sqlite

from tokenserver.storage.migrations.migrate import migrate_schema, schema_of
from tokenserver.storage.tables import SCHEMA

CHANGED = ("people", "browser_sessions", "flows", "epochs")


def columns(engine: Engine) -> dict[str, list[str]]:
    """The columns of the tables that this version changes."""
    return {name: [column["name"] for column in inspect(engine).get_columns(name)] for name in CHANGED}


def test_a_database_of_version_1(tmp_path: Path) -> None:
    """It gets the tables of an empty one, and keeps its revision."""
    old = sqlite(tmp_path, "old.db")
    assert migrate_only_to(1, old) == (None, 1)
    assert schema_of(old) == 1
    assert "seal" not in {column["name"] for column in inspect(old).get_columns("people")}
    assert migrate_schema(old, server=SERVER, now=NOW) == (1, SCHEMA)
    new = sqlite(tmp_path, "new.db")
    migrate_schema(new, server=SERVER, now=NOW)
    assert columns(old) == columns(new)
