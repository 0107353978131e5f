"""Limits of regular expressions. What is accepted, and what it means, is recorded for `regexp`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.golang.expression import BadExpression, ExpressionBeyondLimits
from tokenserver.importers.golang.expression_parser import MAX_LENGTH, MAX_NESTING, parse_expression
from tokenserver.importers.golang.expression_program import compile_expression


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        pytest.param("a" * (MAX_LENGTH + 1), "longer than", id="too long"),
        pytest.param("(" * (MAX_NESTING + 2) + ")" * (MAX_NESTING + 2), "nested deeper", id="too deep"),
        pytest.param("a{1000}{1000}", None, id="a repetition is repeated"),
        pytest.param("(a{1000}b{1000}c{1000}d{1000}e{1000}f{1000})", "instructions", id="too large"),
        pytest.param(r"\p{Greek}", "version of Go", id="a script"),
        pytest.param(r"[\p{C}]", "version of Go", id="a category that has changed"),
    ],
)
def test_limits(expression: str, problem: str | None) -> None:
    """An expression beyond them is not evaluated, and never guessed."""
    with pytest.raises(BadExpression if problem is None else ExpressionBeyondLimits, match=problem or "repeated"):
        compile_expression(parse_expression(expression))


def test_flags_without_an_end() -> None:
    """They begin nothing."""
    with pytest.raises(BadExpression, match="does not begin a group or flags"):
        parse_expression("(?i")


@given(st.text(r"ab()[]{}*+?|^$\.-:<>iPsmUpQEd0129,é&", max_size=15))
def test_any_text(text: str) -> None:
    """It is an expression or none."""
    with suppress(BadExpression, ExpressionBeyondLimits):
        parse_expression(text)
