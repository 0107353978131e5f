"""The reader of a policy document: wrong types, empty values and unknown keys are faults with a place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.errors import MAX_PER_FILE
from tokenserver.policy.syntax.reader import ChoiceError, Reader, kind_of, one_of

KNOWN = ("users", "groups")
COLOURS = one_of(["red", "green"], "colour")


@pytest.fixture
def reader() -> Reader:
    """A reader of a document of two lines."""
    return Reader(parse("one: 1\ntwo: 2\n", "a.yaml"))


Read = Callable[[Reader, Any], Any]


def mapping(reader: Reader, value: Any) -> Any:
    """Read a mapping with known keys."""
    return reader.mapping(value, ("two",), KNOWN)


def items(reader: Reader, value: Any) -> Any:
    """Read a list."""
    return reader.items(value, ("two",))


def text(reader: Reader, value: Any) -> Any:
    """Read text."""
    return reader.text(value, ("two",))


def term(reader: Reader, value: Any) -> Any:
    """Read one word."""
    return reader.term(value, ("two",), COLOURS)


def terms(reader: Reader, value: Any) -> Any:
    """Read a list of words."""
    return reader.terms(value, ("two",), COLOURS)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        pytest.param(mapping, {"users": 1}, {"users": 1}, id="mapping"),
        pytest.param(items, [5], [(("two", 0), 5)], id="list"),
        pytest.param(text, "", "", id="empty text is text"),
        pytest.param(term, "red", "red", id="term"),
        pytest.param(terms, ["red", "green"], ["red", "green"], id="terms"),
    ],
)
def test_what_is_right(read: Read, value: Any, expected: Any, reader: Reader) -> None:
    """It comes back without a fault."""
    assert (read(reader, value), reader.faults) == (expected, [])


@pytest.mark.parametrize(
    ("read", "value", "expected", "fault"),
    [
        pytest.param(mapping, [], {}, "two: must be a mapping (key: value), not a list", id="a list for a mapping"),
        pytest.param(mapping, None, {}, "two: must be a mapping (key: value), not nothing", id="nothing at all"),
        pytest.param(mapping, {}, {}, "two: is empty: leave the key out, or fill it", id="an empty mapping"),
        pytest.param(
            mapping, {"user": 1, "groups": 2}, {"groups": 2}, "two.user: unknown key; did you mean 'users'?", id="a key"
        ),
        pytest.param(items, {}, [], "two: must be a list, not a mapping", id="a mapping for a list"),
        pytest.param(items, "x", [], 'two: must be a list, not text; fix: write ["x"]', id="text for a list"),
        pytest.param(items, [], [], "two: is an empty list: leave the key out, or fill it", id="an empty list"),
        pytest.param(text, 5, None, "two: must be text, not a number; quote it if text is meant", id="a number"),
        pytest.param(text, True, None, "two: must be text, not a boolean; quote it if text is meant", id="a boolean"),
        pytest.param(text, [], None, "two: must be text, not a list", id="a list for text"),
        pytest.param(
            term, "gren", None, "two: unknown colour 'gren'; did you mean 'green'?", id="another word for a term"
        ),
        pytest.param(
            terms, ["red", "blue"], ["red"], "two[1]: unknown colour 'blue'; known here: green, red", id="one of two"
        ),
    ],
)
def test_what_is_wrong(read: Read, value: Any, expected: Any, fault: str, reader: Reader) -> None:
    """One fault with its place, and what could be read all the same."""
    assert read(reader, value) == expected
    assert [f"{one.path}: {one.message}" for one in reader.faults] == [fault]
    assert [(one.file, one.line) for one in reader.faults] == [("a.yaml", 2)]


def test_lists_that_may_be_otherwise(reader: Reader) -> None:
    """Where the caller says so, a list may be empty, or a single text."""
    assert reader.items([], (), may_be_empty=True) == []
    assert reader.terms([], (), COLOURS, may_be_empty=True) == []
    assert reader.terms("red", (), COLOURS, or_one=True) == ["red"]
    assert reader.mapping({"anything": 1}, ()) == {"anything": 1}
    assert reader.faults == []


def test_a_file_with_very_many_faults(reader: Reader) -> None:
    """The rest is only counted, so that a hostile file takes neither memory nor time."""
    for number in range(MAX_PER_FILE + 500):
        reader.mapping({f"key-{number}": 1}, (), KNOWN)
    assert len(reader.faults) <= MAX_PER_FILE + 1
    assert "500" in reader.faults[-1].message


def test_a_word_that_is_none() -> None:
    """The error names what kind of word it is, and the nearest one."""
    with pytest.raises(ChoiceError, match="unknown colour 'rde'; did you mean 'red'"):
        COLOURS("rde")
    assert COLOURS("red") == "red"


def test_several_words_in_one_text() -> None:
    """The fix is a list; one that is no word has the usual message."""
    with pytest.raises(ChoiceError, match="'red, green' is one text; fix: write each colour as an item"):
        COLOURS("red, green")
    with pytest.raises(ChoiceError, match="unknown colour 'red,rde'"):
        COLOURS("red,rde")


def test_what_was_split_by_yaml(reader: Reader) -> None:
    """`actions: pull,push` in braces, and `[user: ann]`."""
    reader.mapping({"one": "pull", "push": None}, (), ("one", "two"))
    reader.text({"user": "ann"}, ("two",))
    assert [fault.message.partition("; ")[2] for fault in reader.faults] == [
        "known here: one, two; if it belongs to the value before it, write a list there: [a, b]",
        'fix: quote it: "user:ann"',
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nothing"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "text"),
        ([], "a list"),
        ({}, "a mapping"),
    ],
)
def test_kind_of(value: Any, expected: str) -> None:
    """Every type that a YAML value can have here has a name."""
    assert kind_of(value) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_any_value_is_read_or_a_fault(value: Any) -> None:
    """No value raises anything, and none is left out silently."""
    reader = Reader(parse("one: 1\ntwo: 2\n", "a.yaml"))
    assert isinstance(mapping(reader, value), dict)
    assert bool(reader.faults) is (not isinstance(value, dict) or not value or not set(value) <= set(KNOWN))
    reader.faults.clear()
    found = terms(reader, value)
    assert bool(reader.faults) is (not isinstance(value, list) or found != value or not value)
