"""Durations are a whole number and one unit, and nothing else is one."""

from __future__ import annotations

import pytest

from tokenserver.runtime.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("90s", 90, id="seconds"),
        pytest.param("15m", 900, id="minutes"),
        pytest.param("1h", 3600, id="hours"),
        pytest.param("30d", 2_592_000, id="days"),
        pytest.param("0s", 0, id="zero"),
        pytest.param("999999d", 86_399_913_600, id="longest"),
        pytest.param("1000000s", None, id="too many digits"),
        pytest.param("90", None, id="no unit"),
        pytest.param("1w", None, id="unknown unit"),
        pytest.param("1h30m", None, id="two units"),
        pytest.param("-1s", None, id="negative"),
        pytest.param("1.5h", None, id="fraction"),
        pytest.param(" 1h", None, id="blank"),
        pytest.param("1h\n", None, id="newline"),
        pytest.param("\u0661h", None, id="digit of another script"),
        pytest.param("", None, id="empty"),
    ],
)
def test_parse_duration(text: str, expected: int | None) -> None:
    """The seconds, or None for any other text."""
    assert parse_duration(text) == expected
