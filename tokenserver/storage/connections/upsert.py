"""Insertion of a row unless there is one with its key, and its update, also while others write the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, update
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row; whether it is new. One that another transaction inserts is waited for.

    A condition in the statement would not do: with PostgreSQL, two transactions that do not see each other's row would
    both insert theirs, and the later one would fail.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


def put(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    *,
    replaces: ColumnElement[bool],
    kept: Collection[str] = (),
) -> None:
    """Insert a row, or update the one with its key where `replaces` holds for that, but for the columns `kept`."""
    if not insert_if_new(connection, table, row):
        key = and_(*(column == row[column.name] for column in table.primary_key))
        values = {name: value for name, value in row.items() if name not in kept}
        connection.execute(update(table).where(key, replaces).values(values))
