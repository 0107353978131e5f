"""The members of JSON objects from other programs: what is read, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.kubernetes.json_members import MAX_DEPTH, JsonMembers, read_members


@pytest.mark.parametrize(
    ("text", "members"),
    [
        pytest.param('{"a":1}', (("a", 1),), id="integer"),
        pytest.param('{"a":-12}', (("a", -12),), id="negative"),
        pytest.param('{"a":%s}' % ("9" * 5000), (("a", 10**16 - 1),), id="beginning-of-a-long-integer"),
        pytest.param('{"a":1.5,"b":1e3}', (("a", None), ("b", None)), id="no-integers"),
        pytest.param('{"a":true,"b":null,"c":"d"}', (("a", True), ("b", None), ("c", "d")), id="others"),
        pytest.param('{"a":1,"a":2}', (("a", 1), ("a", 2)), id="twice"),
        pytest.param('{"a":{"b":1},"c":[2]}', (("a", (("b", 1),)), ("c", [2])), id="nested"),
        pytest.param('{"é":"é"}', (("Ã©", "Ã©"),), id="a-character-for-each-byte"),
    ],
)
def test_members(text: str, members: tuple[tuple[str, Any], ...]) -> None:
    """In their order, each as often as it is there."""
    assert read_members(text.encode()) == members


def test_named() -> None:
    """All values of a name, and none of another."""
    members = read_members(b'{"a":1,"b":2,"a":{"b":3}}')
    assert members.named("a") == [1, JsonMembers([("b", 3)])]
    assert members.named("c") == []


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_depth(brackets: str) -> None:
    """64 levels are read, of objects and of arrays, and brackets in strings do not count."""
    begin, end = ('{"a":', "}") if brackets == "{}" else ("[", "]")

    def nested(levels: int) -> bytes:
        return f'{{"a":{begin * levels}"{brackets[0] * 99}"{end * levels}}}'.encode()

    assert len(read_members(nested(MAX_DEPTH - 1))) == 1
    with pytest.raises(ValueError, match="nested"):
        read_members(nested(MAX_DEPTH))


_PIECES = ['"a"', '"', "\\", "u0041", "0", "1", "-", ".", "e", "+", "null", "true", "NaN", " ", "\n", "\0", "é"]
_TEXTS = st.lists(st.sampled_from([*'{}[]:,{}:,"', *_PIECES]), max_size=12).map("".join)


@given(_TEXTS | _TEXTS.map(lambda text: f'{{"a":{text}}}'))
def test_only_objects_are_read(text: str) -> None:
    """Whatever is no JSON object for a strict reader is rejected, and whatever is one is read."""

    def reject(_: str) -> Any:
        raise ValueError("no JSON")

    try:
        expected = isinstance(json.loads(text.encode().decode("latin-1"), parse_constant=reject), dict)
    except ValueError:
        expected = False
    try:
        read_members(text.encode())
    except ValueError:
        found = False
    else:
        found = True
    assert found == expected


_LEAVES = st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.sampled_from(["", "]", '"\\', "a\0"])
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.just("a"), inner), max_leaves=5)


@given(st.dictionaries(st.sampled_from(["a", "b", '"', "\\"]), _VALUES), st.sampled_from([None, 1, "\t"]))
def test_every_object_is_read(value: dict[str, Any], indent: int | str | None) -> None:
    """As it was written, in any layout."""
    members = read_members(json.dumps(value, indent=indent).encode())
    assert [name for name, _ in members] == list(value)
    for name, one in value.items():
        if not isinstance(one, dict | list):
            assert members.named(name) == [one]
