"""The row of a user."""

from __future__ import annotations

import pytest

from tokenserver.authn.sql.row import Row, UnusableRow, read_row

HASH = "$2b$10$" + "." * 53


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({}, ("ann", [], None), id="nothing but the name"),
        pytest.param({"subject": "Ann"}, ("Ann", [], None), id="the database's spelling"),
        pytest.param({"subject": "u\u0308ber"}, ("\u00fcber", [], None), id="in normal form C"),
        pytest.param({"groups": "b,a"}, ("ann", ["a", "b"], None), id="groups"),
        pytest.param(
            {"groups": "a", "labels": '{"t": ["x"], "p": ["y"]}'}, ("ann", ["a", "t=x", "y"], None), id="labels"
        ),
        pytest.param({"enabled": "1"}, ("ann", [], None), id="enabled"),
        pytest.param({"enabled": "TRUE"}, ("ann", [], None), id="enabled, in capitals"),
        pytest.param({"enabled": "\x01"}, ("ann", [], None), id="enabled, a BIT"),
        pytest.param({"enabled": "false"}, ("ann", [], "the account is disabled"), id="not enabled"),
        pytest.param({"disabled": "f"}, ("ann", [], None), id="not disabled"),
        pytest.param({"disabled": "\x01"}, ("ann", [], "the account is disabled"), id="disabled, a BIT"),
        pytest.param({"enabled": "1", "disabled": "1"}, ("ann", [], "the account is disabled"), id="both"),
    ],
)
def test_users(row: Row, expected: tuple[str, list[str], str | None]) -> None:
    """What the columns say."""
    found = read_row({"password_hash": HASH, **row}, "ann", ["p"])
    assert (found.subject, sorted(found.groups), found.problem) == expected
    assert found.hashed.reveal() == HASH


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"enabled": None}, "the column enabled is NULL"),
        ({"disabled": None}, "the column disabled is NULL"),
        ({"enabled": "2"}, "the column enabled is neither true nor false"),
        ({"disabled": "2026-01-01"}, "the column disabled is neither true nor false"),
        ({"enabled": ""}, "the column enabled is neither true nor false"),
    ],
)
def test_a_doubtful_account_counts_as_disabled(row: Row, problem: str) -> None:
    """NULL is not false."""
    found = read_row({"password_hash": HASH, **row}, "ann")
    assert found.problem == f"the account counts as disabled: {problem}"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"subject": None}, "the column subject cannot be a user name: the name is empty"),
        ({"subject": " ann"}, "the column subject cannot be a user name"),
        ({"subject": "a\0"}, "the column subject cannot be a user name"),
        ({"subject": "robot:x"}, "the column subject cannot be a user name"),
        ({"subject": "x" * 256}, "the column subject has more than 255 characters"),
        ({"password_hash": "x" * 513}, "the column password_hash has more than 512 characters"),
        ({"groups": "[1]"}, "the column groups has a name that is no text"),
        ({"labels": "[]"}, "the column labels is no JSON object"),
    ],
)
def test_unusable(row: Row, problem: str) -> None:
    """No identity, and no value in the reason."""
    with pytest.raises(UnusableRow, match=problem):
        read_row({"password_hash": HASH, **row}, "ann")


def test_null_is_no_password() -> None:
    """A row without a hash is a user without a password, and the hash never prints."""
    assert read_row({"password_hash": None}, "ann").hashed.reveal() == ""
    assert HASH not in repr(read_row({"password_hash": HASH}, "ann"))
