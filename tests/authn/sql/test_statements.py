"""Statements for a query, as each kind of database gets them."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from tokenserver.authn.sql.statements import bounded_rows, no_rows

QUERY = "SELECT password_hash, team AS groups FROM users WHERE name = :user AND x <> ':y'"


@pytest.mark.parametrize(
    ("url", "groups"),
    [
        ("sqlite://", "substr(CAST(found.groups AS TEXT), ?, ?)"),
        ("mysql+pymysql://", "substr(CAST(found.`groups` AS CHAR), %s, %s)"),
        (
            "postgresql+psycopg://",
            "substr(CAST(to_json(found.groups) AS TEXT), %(substr_3)s::INTEGER, %(substr_4)s::INTEGER)",
        ),
    ],
)
def test_values_are_bounded_text(url: str, groups: str) -> None:
    """Of known columns; groups of PostgreSQL can be an array. Two rows at most."""
    dialect = make_url(url).get_dialect()()
    statement = bounded_rows(QUERY, ["Password_Hash", "groups", "id"], dialect.name)
    text = str(statement.compile(dialect=dialect))
    assert groups in text
    assert "':y'" in text
    assert "LIMIT" in text
    assert sorted(statement.selected_columns.keys()) == ["groups", "password_hash"]


def test_no_rows() -> None:
    """The columns of the query are read without running into rows."""
    assert str(no_rows(QUERY)).endswith(") AS found WHERE 1 = 0")
