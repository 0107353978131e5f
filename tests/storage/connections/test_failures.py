"""What errors of the database mean: a reason with its fix, and nothing secret."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import ArgumentError, OperationalError

from tokenserver.storage.connections.failures import unavailable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("database or disk is full", "OperationalError: database or disk is full; fix: free space on its disk"),
        ("attempt to write a readonly database", "fix: make the file, its folder and its mount writable"),
        ("unable to open database file", "fix: does the file exist? tokenserver storage init makes it"),
        ("database disk image is malformed", "fix: tokenserver storage check, then restore a backup"),
        ("file is not a database", "fix: tokenserver storage check, then restore a backup"),
        ("no such table: credentials", "fix: tokenserver storage init"),
        ("no such column: credentials.x", "fix: tokenserver storage migrate"),
        ('password authentication failed for user "x"', "fix: put the password of the role into the file"),
        ("certificate verify failed: unknown CA", "fix: name the CA of the server"),
    ],
)
def test_known_errors_have_a_fix(text: str, expected: str) -> None:
    """The first line of what the driver says comes first."""
    error = unavailable(OperationalError("SELECT 1", {"x": "canary"}, sqlite3.OperationalError(f"{text}\nmore")))
    assert expected in error.reason
    assert error.backend == "storage"
    assert "canary" not in error.reason
    assert "more" not in error.reason


def test_others_are_repeated() -> None:
    """Also those of SQLAlchemy itself."""
    assert unavailable(ArgumentError("odd")).reason == "ArgumentError: odd"
