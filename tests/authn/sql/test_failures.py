"""What errors of databases mean."""

from __future__ import annotations

import pytest

from tokenserver.authn.sql.failures import unavailable, unusable


class UndefinedTable(Exception):
    """As psycopg calls it."""


@pytest.mark.parametrize(
    ("error", "reason", "summary"),
    [
        (OSError("gone"), "OSError: gone", "does not answer"),
        (
            UndefinedTable('relation "users" does not exist\nLINE 1: canary'),
            'UndefinedTable: relation "users" does not exist; fix: correct the table in query',
            "its database reports an error; fix: correct the table in query",
        ),
        (RuntimeError("x\x1b[31m" + "y" * 1000), "RuntimeError: x\\x1b[31m", "does not answer"),
    ],
)
def test_errors(error: Exception, reason: str, summary: str) -> None:
    """One line of the driver's text, bounded and printable, and the fix."""
    found = unavailable("people", error)
    assert found.backend == "people"
    assert found.reason.startswith(reason)
    assert len(found.reason) < 600
    assert "canary" not in str(found)
    assert found.summary.startswith(summary)


def test_unusable_columns() -> None:
    """The problem is for readyz as well."""
    assert unusable("people", "no column").summary == "no column"
