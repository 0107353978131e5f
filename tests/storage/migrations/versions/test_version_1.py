"""Version 1 of the schema: what it makes is what the tables of the code are. PostgreSQL: tests/e2e."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from stored_credentials import NOW, made, sqlite

from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.tables import metadata

OPTIONS = {"version_table": "schema_version", "compare_type": True}


def test_the_newest_version_makes_the_tables_of_the_code(tmp_path: Path) -> None:
    """Whatever is added to `tables.py` needs a migration."""
    engine = sqlite(tmp_path)
    migrate_schema(engine, server="", now=NOW)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert compare_metadata(context, metadata) == []


def test_the_comparison_finds_what_is_missing(tmp_path: Path) -> None:
    """A column and an index less."""
    engine = sqlite(tmp_path)
    migrate_schema(engine, server="", now=NOW)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX credentials_rev"))
        connection.execute(text("ALTER TABLE people DROP COLUMN claimed"))
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert {difference[0] for difference in compare_metadata(context, metadata)} == {"add_column", "add_index"}


def test_constraints_are_the_same(tmp_path: Path) -> None:
    """Which the comparison does not look at: the statements of both ways differ in nothing but blanks."""
    migrated, direct = sqlite(tmp_path, "a.db"), sqlite(tmp_path, "b.db")
    migrate_schema(migrated, server="", now=NOW)
    made(direct)
    query = text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%schema_version%' AND sql IS NOT NULL")
    with migrated.connect() as one, direct.connect() as two:
        assert {tuple(row) for row in one.execute(query)} == {tuple(row) for row in two.execute(query)}
