"""User codes: what is made can be typed in any way that people do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.storage.people.user_codes import (
    LENGTH,
    LETTERS,
    RANDOM_BYTES,
    compose_user_code,
    parse_user_code,
    spell_user_code,
)


@given(random=st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_what_is_made_can_be_typed(random: bytes) -> None:
    """As it is shown, and in other ways."""
    code = compose_user_code(random)
    assert len(code) == LENGTH
    assert set(code) <= set(LETTERS)
    shown = spell_user_code(code)
    for typed in (shown, code, code.lower(), f" {shown.lower()}\r\n", shown.replace("-", " "), ".".join(code)):
        assert parse_user_code(typed) == code


def test_every_letter_is_as_likely() -> None:
    """The codes are the digits of a number to the base of twenty."""
    assert compose_user_code(bytes(RANDOM_BYTES)) == "B" * LENGTH
    assert compose_user_code((20**8 - 1).to_bytes(RANDOM_BYTES, "big")) == "Z" * LENGTH
    assert len({compose_user_code(number.to_bytes(RANDOM_BYTES, "big")) for number in range(400)}) == 400


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("", id="nothing"),
        pytest.param("BCDF-GHJ", id="too short"),
        pytest.param("BCDF-GHJKB", id="too long"),
        pytest.param("BCDF-GHJA", id="a vowel"),
        pytest.param("BCDF-GHJ1", id="a digit"),
        pytest.param("BCDFGHJß", id="a letter that grows in upper case"),
        pytest.param("BCDFGHJ\uff22", id="a wide letter"),
        pytest.param("BCDF-GHJK" + " " * 64, id="very long"),
        pytest.param("\udcff" * 8, id="no text"),
    ],
)
def test_what_is_no_code(typed: str) -> None:
    """It is not looked up."""
    assert parse_user_code(typed) is None


@given(typed=st.text())
def test_any_text(typed: str) -> None:
    """A code or none, and nothing else."""
    code = parse_user_code(typed)
    assert code is None or (len(code) == LENGTH and set(code) <= set(LETTERS))
