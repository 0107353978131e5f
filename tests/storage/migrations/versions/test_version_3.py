"""Version 3: a database of version 2 gets the outbox of an empty one."""

from __future__ import annotations

from pathlib import Path

from old_databases import SERVER, columns_of, migrate_only_to
from sqlalchemy import inspect
from stored_credentials import NOW, sqlite

from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.tables import SCHEMA, outbox


def test_a_database_of_version_2(tmp_path: Path) -> None:
    """The columns are those of the table, as in an empty database."""
    old, new = sqlite(tmp_path, "old.db"), sqlite(tmp_path, "new.db")
    migrate_only_to(2, old)
    assert not inspect(old).has_table("outbox")
    assert migrate_schema(old, server=SERVER, now=NOW) == (2, SCHEMA)
    migrate_schema(new, server=SERVER, now=NOW)
    assert [columns_of(old, outbox), columns_of(new, outbox)] == [[column.name for column in outbox.columns]] * 2
