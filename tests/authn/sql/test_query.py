"""Queries of the configuration: which texts are accepted, and that text in quotes is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from tokenserver.authn.sql.query import MAX_QUERY, escaped, names_column, query_problem


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT password_hash FROM users WHERE name = :user", id="the smallest one"),
        pytest.param("select a as password_hash from t where lower(n) = lower(:user) and n <> ':'", id="functions"),
        pytest.param("WITH u AS (SELECT * FROM t) SELECT h AS password_hash FROM u WHERE n=:user", id="WITH"),
        pytest.param("SELECT h::text AS password_hash FROM t WHERE n = CAST(:user AS text)", id="casts of PostgreSQL"),
        pytest.param("SELECT h FROM t WHERE n = :user AND t <> '12:30'", id="a colon in quotes"),
        pytest.param("SELECT h FROM t WHERE n = :user AND x <> 'it''s :y; -- /* \"'", id="anything in quotes"),
        pytest.param('SELECT "update", `delete` FROM t WHERE n = :user', id="quoted names"),
        pytest.param("SELECT h FROM t WHERE n = :user AND x <> $a$ insert ' $a$", id="dollar quotes"),
        pytest.param("SELECT replace(h, '{CRYPT}', '') AS password_hash FROM t WHERE n = :user", id="replace()"),
        pytest.param("SELECT h, updated, inserted_at FROM t WHERE n = :user", id="words within words"),
    ],
)
def test_accepted(query: str) -> None:
    """Queries that only read, and compare with the name."""
    assert query_problem(query) is None


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "must be a SELECT"),
        ("SHOW TABLES", "must be a SELECT"),
        ("UPDATE users SET x = :user", "must be a SELECT"),
        ("SELECT 1", "must compare with :user"),
        ("SELECT h FROM t WHERE n = :user::text", "has a cast of :user"),
        ("SELECT h FROM t WHERE n = :name", "has the parameter :name"),
        ("SELECT h FROM t WHERE n = :user AND x = :y", "has the parameter :y"),
        ("SELECT h FROM t WHERE n = ':user'", "has :user in quotes"),
        ("SELECT h FROM t WHERE n = '{user}'", "must compare with :user"),
        ("SELECT h FROM t WHERE n = :user;", "has a ';'"),
        ("SELECT h FROM t WHERE n = :user; DELETE FROM t", "has a ';'"),
        ("WITH x AS (DELETE FROM t RETURNING h) SELECT h FROM x WHERE n = :user", "has DELETE"),
        ("SELECT h INTO copy_of FROM t WHERE n = :user", "has INTO"),
        ("SELECT h FROM t WHERE n = :user FOR UPDATE", "has UPDATE"),
        ("SELECT h FROM t WHERE n = :user -- the name", "has a comment"),
        ("SELECT h /*! INTO OUTFILE 'x' */ FROM t WHERE n = :user", "has a comment"),
        ("SELECT h FROM t WHERE n = :user AND x = 'open", "has a quote that is not closed"),
        (r"SELECT h FROM t WHERE n = '\' OR n = :user OR n = ' '", "has a backslash"),
        ("SELECT h FROM t WHERE n = :user AND x = '\0'", "has a NUL"),
        (f"SELECT h FROM t WHERE n = :user AND x = '{'x' * MAX_QUERY}'", "is longer than"),  # noqa: S608 - never run
    ],
)
def test_refused(query: str, problem: str) -> None:
    """Mistakes are found when the configuration is loaded."""
    assert problem in (query_problem(query) or "")


@given(quoted=st.text(st.sampled_from("ab:1 '%?;-$@"), max_size=20))
def test_quotes_are_left_alone(quoted: str) -> None:
    """Whatever is in quotes reaches the database as it is, and :user is the only parameter."""
    query = f"SELECT h FROM t WHERE x = '{quoted.replace(chr(39), chr(39) * 2)}' AND n = :user"  # noqa: S608 - never run
    if query_problem(query) is not None:
        assert ":user" in quoted
        return
    compiled = text(escaped(query)).compile(dialect=sqlite.dialect())
    assert (str(compiled), list(compiled.params)) == (query.replace(":user", "?"), ["user"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [("SELECT n AS subject", True), ("SELECT SUBJECT", True), ("SELECT subjects", False), ("SELECT n", False)],
)
def test_a_column_is_named(query: str, *, expected: bool) -> None:
    """Whether the text has the word, in any case."""
    assert names_column(query, "subject") is expected
