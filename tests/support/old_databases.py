"""Databases as an older version of the schema has them."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table, inspect
from stored_credentials import NOW

from tokenserver.storage.migrations import migrate
from tokenserver.storage.migrations.migrate import migrate_schema

SERVER = "https://auth.example.com"


def migrate_only_to(version: int, engine: Engine) -> tuple[int | None, int]:
    """As `migrate_schema` of a program that has this version, for tests of this server; what that returns."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrate, "SCHEMA", version)
        return migrate_schema(engine, server=SERVER, now=NOW)


def columns_of(engine: Engine, table: Table) -> list[str]:
    """The names of the columns that a table has in a database."""
    return [column["name"] for column in inspect(engine).get_columns(table.name)]
