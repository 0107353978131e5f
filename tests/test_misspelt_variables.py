"""Misspelt variables get the right spelling."""

from __future__ import annotations

import pytest

from tokenserver.misspelt_variables import mistake_in_variables


@pytest.mark.parametrize("text", ["web", "${user}", "${group}", "x-${user}.y", "a*b"])
def test_no_mistake(text: str) -> None:
    """Text without variables, and the variables as they are written."""
    assert mistake_in_variables(text, "") is None


@pytest.mark.parametrize(
    ("text", "variable", "hint"),
    [
        ("$user", "", "write ${user}"),
        ("{user}", "", "write ${user}"),
        ("${User}", "", "write ${user}"),
        ("${ user }", "", "write ${user}"),
        ("${team}", "", "needs a rule to a group such as group:reg-{team}-rw"),
        ("${group}", "team", "has no ${group}"),
        ("${Team}", "team", "write ${team}"),
        ("a$", "", "the variables are ${user} and ${group}"),
        ("${user}$", "team", "the variables are ${user} and ${team}"),
    ],
)
def test_a_mistake_has_its_hint(text: str, variable: str, hint: str) -> None:
    """Every other spelling is refused, and the probable meaning is said."""
    mistake = mistake_in_variables(text, variable)
    assert mistake is not None
    assert hint in mistake


def test_what_is_captured_is_a_variable() -> None:
    """`${team}` is known in a rule that captures it."""
    assert mistake_in_variables("x-${team}", "team") is None
