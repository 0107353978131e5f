"""How two values differ that look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.checks.values import difference


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("registry.test ", "registry.test", "ends in a blank"),
        (" registry.test", "registry.test", "begins with a blank"),
        ("registry.test\n", "registry.test", "ends in a line break"),
        ("registry.test\t", "registry.test", "ends in a blank"),
        ("registry.test", "registry.test ", "lacks a blank that ours has"),
        ('"registry.test"', "registry.test", 'has quotes (") around it that belong to its value'),
        ("'registry.test' ", "registry.test", "has quotes (') around it that belong to its value"),
        ("registry\N{ZERO WIDTH SPACE}.test", "registry.test", "holds an invisible character, U+200B"),
        ("Registry.test", "registry.test", "differs in upper and lower case"),
        ("auth.example.com/", "auth.example.com", "ends in a slash"),
        ("https://auth", "https://auth/", "lacks the slash at its end"),
        ("https://auth.example.com", "auth.example.com", "has https:// before it"),
        ("auth.example.com", "https://auth.example.com", "lacks the https:// before it"),
        ("registry.test:5000", "registry.test", "has a port behind it, :5000"),
        (
            "\N{FULLWIDTH LATIN SMALL LETTER R}egistry.test",
            "registry.test",
            "is written with other characters that look the same",
        ),
        ("other.test", "registry.test", None),
        ("registry.test", "registry.test", None),
        ("", "registry.test", None),
    ],
)
def test_what_differs(theirs: str, ours: str, expected: str | None) -> None:
    """Each in words that a reader can act on."""
    assert difference(theirs, ours) == expected


@given(st.text(max_size=12), st.text(max_size=12))
def test_anything_is_compared(theirs: str, ours: str) -> None:
    """Equal values have no difference; a difference is one line without the values."""
    found = difference(theirs, ours)
    if theirs == ours:
        assert found is None
    assert found is None or found.isprintable()
