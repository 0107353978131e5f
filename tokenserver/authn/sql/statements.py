"""The statements for a query of the configuration, in SQLAlchemy Core: its rows with bounded values, all as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, TextClause, cast, column, func, select, text

from tokenserver.authn.sql.columns import GROUPS, LIMITS
from tokenserver.authn.sql.query import escaped

MAX_ROWS = 2
"""Two rows are enough to know that there are several."""


def no_rows(query: str) -> TextClause:
    """A statement that returns the columns of the query and no row."""
    return text(f"SELECT * FROM ({escaped(query)}) AS found WHERE 1 = 0")  # noqa: S608 - the operator's own text


def bounded_rows(query: str, columns: Sequence[str], dialect: str) -> Select[Any]:
    """The first two rows of the query, with those of its `columns` that mean something.

    Of each value no more is sent than `LIMITS` says, and one character. `dialect` is SQLAlchemy's name of it.
    """
    used = {name.lower(): name for name in columns if name.lower() in LIMITS}
    found = text(escaped(query)).columns(*map(column, used.values())).subquery("found")
    values = {key: _as_text(found.c[name], key, dialect) for key, name in used.items()}
    return select(*(func.substr(value, 1, LIMITS[key] + 1).label(key) for key, value in values.items())).limit(MAX_ROWS)


def _as_text(value: ColumnElement[Any], key: str, dialect: str) -> ColumnElement[Any]:
    if dialect == "postgresql" and key == GROUPS:  # which can be an array
        return cast(func.to_json(value), Text)
    return cast(value, Text)
