"""Strict JSON: what one parser reads is what every other one would."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.documents.strict_json import MAX_LEVELS, InvalidJson, read_object


def nested(levels: int, kind: str = "[]") -> str:
    """An object with so many levels."""
    return '{"a":' + kind[0] * (levels - 1) + kind[1] * (levels - 1) + "}"


def within_objects(levels: int) -> str:
    """So many objects within each other."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("{}", {}, id="empty"),
        pytest.param(' {"a": [1, -2.5e3, true, null, "\\u00e9"]}\n', {"a": [1, -2500.0, True, None, "é"]}, id="values"),
        pytest.param('{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}, id="same name elsewhere"),
        pytest.param('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}, id="a whole surrogate pair"),
        pytest.param('{"a": "' + "[" * 40 + '"}', {"a": "[" * 40}, id="brackets in a text"),
        pytest.param('{"__class__": 1}', {"__class__": 1}, id="names of Python"),
    ],
)
def test_an_object(text: str, value: dict[str, Any]) -> None:
    """It is what every parser makes of it."""
    assert read_object(text.encode()) == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is not JSON", id="nothing"),
        pytest.param(b"{", "is not JSON", id="half"),
        pytest.param(b"{} {}", "is not JSON", id="two"),
        pytest.param(b"{'a': 1}", "is not JSON", id="quotes of Python"),
        pytest.param(b'{"a": 1,}', "is not JSON", id="a comma too many"),
        pytest.param(b'{"a": 01}', "is not JSON", id="a leading zero"),
        pytest.param(b'{"a": "\x00"}', "is not JSON", id="a control character"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "is not JSON", id="five thousand digits"),
        pytest.param(b"\xef\xbb\xbf{}", "is not JSON", id="byte order mark"),
        pytest.param('{"a": 1}'.encode("utf-16"), "is not UTF-8 text", id="UTF-16"),
        pytest.param(b'{"a": "\xff"}', "is not UTF-8 text", id="no UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "is not UTF-8 text", id="a surrogate as UTF-8"),
        pytest.param(b"[]", "is not a JSON object", id="array"),
        pytest.param(b'"a"', "is not a JSON object", id="text"),
        pytest.param(b"null", "is not a JSON object", id="null"),
        pytest.param(b'{"a": 1, "a": 1}', "has a duplicate member", id="twice"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', "has a duplicate member", id="twice, once escaped"),
        pytest.param(b'{"a": [{"b": {"c": 1, "c": 2}}]}', "has a duplicate member", id="twice, further in"),
        pytest.param(b'{"a": NaN}', "has a number that is none in JSON", id="NaN"),
        pytest.param(b'{"a": Infinity}', "has a number that is none in JSON", id="infinity"),
        pytest.param(b'{"a": -Infinity}', "has a number that is none in JSON", id="minus infinity"),
        pytest.param(b'{"a": 1e999}', "has a number that is too large", id="infinity as a number"),
        pytest.param(b'{"a": "\\ud800"}', "has half a surrogate pair", id="half a surrogate pair"),
        pytest.param(b'{"a": ["\\udc00\\ud800"]}', "has half a surrogate pair", id="two halves in the wrong order"),
        pytest.param(b'{"\\ud800": 1}', "has half a surrogate pair", id="half a pair in a name"),
        pytest.param(b'{"a": {"\\ud800": 1}}', "has half a surrogate pair", id="half a pair in a name further in"),
    ],
)
def test_what_is_rejected(content: bytes, problem: str) -> None:
    """The text says what is wrong, and nothing of what is in it."""
    with pytest.raises(InvalidJson) as caught:
        read_object(content)
    assert str(caught.value) == problem


@pytest.mark.parametrize("deep", [nested, lambda levels: nested(levels, "[]"), within_objects])
def test_levels(deep: Any) -> None:
    """As many as the limit, and not one more; nor so many that Python gives up."""
    assert read_object(deep(MAX_LEVELS).encode()) == json.loads(deep(MAX_LEVELS))
    for levels in (MAX_LEVELS + 1, 200, 100_000):
        with pytest.raises(InvalidJson, match="has more than 16 levels"):
            read_object(deep(levels).encode())


@pytest.mark.parametrize(
    "deepest",
    [
        pytest.param(nested(MAX_LEVELS), id="arrays"),
        pytest.param(within_objects(MAX_LEVELS), id="objects"),
        pytest.param('{"a":' * 8 + "[" * 8 + '"\\u00e9"' + "]" * 8 + "}" * 8, id="both, around a text"),
    ],
)
def test_levels_are_not_brackets(deepest: str) -> None:
    """As many levels as the limit, with further objects and arrays beside them."""
    text = f'{{"b": [[], {{}}, "[[["], {deepest[1:]}'
    assert read_object(text.encode()) == json.loads(text)


@given(st.binary(max_size=60))
@example(b'{"a": "\\uDEAD"}')
def test_any_bytes(content: bytes) -> None:
    """Whatever is read, the result is an object or the one error."""
    try:
        found = read_object(content)
    except InvalidJson:
        return
    assert found == json.loads(content)


TEXTS = st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=2), st.booleans())
def test_what_is_written_is_read(value: dict[str, Any], is_ascii: bool) -> None:
    """Every object of moderate depth, with its texts escaped or not."""
    assert read_object(json.dumps(value, ensure_ascii=is_ascii).encode()) == value
