"""Form tokens: right in the browser that they were made for, each with a number of its own, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credentials import Secret
from tokenserver.web.pages.form_tokens import FormTokens

MINE, OTHER = Secret("1" * 64), Secret("2" * 64)
TOKENS = FormTokens()


def test_one_browser() -> None:
    """Another cookie does not open it, and two forms differ."""
    first, second = TOKENS.new(MINE), TOKENS.new(MINE)
    assert first != second
    assert [TOKENS.is_right(MINE, one) for one in (first, second)] == [True, True]
    assert not TOKENS.is_right(OTHER, first)
    assert MINE.reveal() not in first


@pytest.mark.parametrize("position", range(0, 97, 7))
def test_one_character_more_or_less(position: int) -> None:
    """Every character counts."""
    token = TOKENS.new(MINE)
    other = "0" if token[position] != "0" else "1"
    assert not TOKENS.is_right(MINE, token[:position] + other + token[position + 1 :])
    assert not TOKENS.is_right(MINE, token[:position] + token[position + 1 :])


@given(st.text())
def test_any_text(text: str) -> None:
    """Nothing that was not made here is right, and nothing raises."""
    assert not TOKENS.is_right(MINE, text)
