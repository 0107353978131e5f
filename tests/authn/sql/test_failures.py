"""What errors of databases mean."""

from __future__ import annotations

import pytest

from tokenserver.authn.sql.failures import is_unspeakable, unavailable, unusable, value_problem


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


class DataError(Exception):
    """As all drivers call it."""


class Untranslatable(DataError):
    """As psycopg has it: a name that the database cannot hold."""

    sqlstate = "22P05"


@pytest.mark.parametrize(
    ("error", "is_name", "problem"),
    [
        (Untranslatable("canary"), True, "the query fails for this name (Untranslatable, 22P05); fix: "),
        (DataError(1366, "canary"), False, "the query fails for this name (DataError, 1366); fix: "),
        (RuntimeError(1267, "canary"), True, None),
        (RuntimeError("canary"), False, None),
        (DataError("canary"), False, "the query fails for this name (DataError, no code); fix: "),
        (UnicodeEncodeError("latin-1", "canary", 0, 1, "canary"), True, None),
    ],
)
def test_errors_about_values(error: Exception, problem: str | None, *, is_name: bool) -> None:
    """They are no outage, and their text may repeat a hash (docs/design/threats.md#threat-206)."""
    assert is_unspeakable(error) is is_name
    found = value_problem(error)
    assert (found is None) if problem is None else (found or "").startswith(problem)
    assert "canary" not in str(found)


def test_unusable_columns() -> None:
    """The problem is for readyz as well."""
    assert unusable("people", "no column").summary == "no column"
