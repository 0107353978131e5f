"""JSON output: what any parser of JSON reads, whatever the value came from."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.json_output import json_text

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)


def refused(constant: str) -> NoReturn:
    """What a parser does that keeps to the standard."""
    raise ValueError(constant)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"a": [1, "é", None]}, '{"a": [1, "\\u00e9", null]}', id="as json.dumps"),
        pytest.param({"exp": float("nan"), "n": 1.5}, '{"exp": null, "n": 1.5}', id="NaN"),
        pytest.param([float("inf"), (-float("inf"), 2)], "[null, [null, 2]]", id="infinite numbers"),
        pytest.param({"a": {"b": [{"c": float("nan")}]}}, '{"a": {"b": [{"c": null}]}}', id="deep inside"),
    ],
)
def test_values(value: Any, text: str) -> None:
    """A number that JSON lacks is null; the rest is as it was."""
    assert json_text(value) == text


def test_how_it_looks() -> None:
    """Also where something is replaced."""
    assert json_text({"a": float("nan")}, indent=1) == '{\n "a": null\n}'
    assert json_text([float("nan"), 2], separators=(",", ":")) == "[null,2]"


@given(VALUES)
def test_any_value_is_read(value: Any) -> None:
    """By a parser that rejects what is no JSON."""
    assert json_text(json.loads(json_text(value), parse_constant=refused)) == json_text(value)
