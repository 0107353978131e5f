"""The columns that a query for users has to return."""

from __future__ import annotations

import pytest

from tokenserver.authn.sql.columns import columns_problem


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (["password_hash"], None),
        (["PASSWORD_HASH", "Subject", "id"], None),
        (["id", "password"], "the query returns no column password_hash (but id, password)"),
        (["password_hash", "groups", "GROUPS"], "the query returns the column groups twice"),
        (["password_hash", "id", "id"], None),
    ],
)
def test_columns(columns: list[str], problem: str | None) -> None:
    """Other columns mean nothing."""
    found = columns_problem(columns)
    assert (found is None) if problem is None else (found or "").startswith(problem)
