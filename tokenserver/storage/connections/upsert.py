"""Insertion of a row unless there is one with its key, also while others insert the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row; whether it is new. One that another transaction inserts is waited for.

    A condition in the statement would not do: with PostgreSQL, two transactions that do not see each other's row would
    both insert theirs, and the later one would fail.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None
