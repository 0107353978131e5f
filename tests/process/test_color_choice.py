"""Colours: on terminals, unless the environment says otherwise."""

from __future__ import annotations

import pytest

from tokenserver.process.color_choice import wants_color


@pytest.mark.parametrize(
    ("is_terminal", "environment", "expected"),
    [
        pytest.param(True, {}, True, id="terminal"),
        pytest.param(False, {}, False, id="pipe"),
        pytest.param(True, {"NO_COLOR": "1"}, False, id="no-color"),
        pytest.param(True, {"NO_COLOR": ""}, True, id="no-color-empty"),
        pytest.param(False, {"FORCE_COLOR": "1"}, True, id="force"),
        pytest.param(True, {"FORCE_COLOR": "0"}, False, id="force-0"),
        pytest.param(True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, id="both"),
        pytest.param(True, {"TERM": "dumb"}, False, id="dumb"),
    ],
)
def test_choice(is_terminal: bool, environment: dict[str, str], expected: bool) -> None:
    """`NO_COLOR` wins over `FORCE_COLOR`, and both over what the stream is."""
    assert wants_color(is_terminal, environment) is expected
