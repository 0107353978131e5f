"""Exports in JSON: what is asked for has its type, or is a fault with its place; anything else is ignored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import MAX_PER_FILE, LoadError
from tokenserver.importers.export_reader import ExportReader


def faults(reader: ExportReader) -> list[tuple[str, str]]:
    """What the reader found so far."""
    with pytest.raises(LoadError) as refused:
        reader.require_no_faults()
    return [(fault.path, fault.message) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is not JSON", id="nothing"),
        pytest.param(b"[1]", "is not a JSON object", id="a list"),
        pytest.param(b'{"a": 1, "a": 2}', "has a duplicate member", id="a member twice"),
        pytest.param(b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "has more than 16 levels", id="deep"),
        pytest.param(b"\xff", "is not UTF-8 text", id="no text"),
    ],
)
def test_no_document(content: bytes, problem: str) -> None:
    """One fault, with what to do."""
    with pytest.raises(LoadError) as refused:
        ExportReader(content, "x.json")
    assert str(refused.value) == f"x.json: {problem}; fix: export it again"


Read = Callable[[ExportReader, dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        pytest.param(lambda r, e: r.text(e, "k", "p"), "x", "x", id="text"),
        pytest.param(lambda r, e: r.optional_text(e, "k", "p"), "x", "x", id="optional text"),
        pytest.param(lambda r, e: r.optional_text(e, "k", "p"), None, "", id="no text"),
        pytest.param(lambda r, e: r.optional_text(e, "k", "p"), "", "", id="an empty text"),
        pytest.param(lambda r, e: r.number(e, "k", "p"), 3, 3, id="number"),
        pytest.param(lambda r, e: r.flag(e, "k", "p"), True, True, id="flag"),
        pytest.param(lambda r, e: r.flag(e, "k", "p"), None, False, id="no flag"),
        pytest.param(lambda r, e: r.objects(e["k"], "p"), [{"a": 1}], [("p[0]", {"a": 1})], id="objects"),
        pytest.param(lambda r, e: r.objects(e["k"], "p"), None, [], id="no objects"),
        pytest.param(lambda r, e: r.mapping(e["k"], "p"), {"a": 1}, {"a": 1}, id="mapping"),
        pytest.param(lambda r, e: r.mapping(e["k"], "p"), None, {}, id="no mapping"),
        pytest.param(lambda r, e: r.texts(e["k"], "p"), ["a"], ["a"], id="texts"),
        pytest.param(lambda r, e: r.texts(e["k"], "p"), None, [], id="no texts"),
    ],
)
def test_what_is_there(read: Read, value: Any, expected: Any) -> None:
    """It is given as it is."""
    reader = ExportReader(b"{}", "x.json")
    assert read(reader, {"k": value}) == expected
    reader.require_no_faults()


@pytest.mark.parametrize(
    ("read", "value", "path", "message"),
    [
        pytest.param(lambda r, e: r.text(e, "k", "p"), 1, "p.k", "must be text", id="text"),
        pytest.param(lambda r, e: r.text(e, "k", "p"), None, "p.k", "must be text, which is missing", id="no text"),
        pytest.param(lambda r, e: r.optional_text(e, "k", "p"), [], "p.k", "must be text", id="optional text"),
        pytest.param(lambda r, e: r.number(e, "k", "p"), True, "p.k", "must be a whole number", id="number"),
        pytest.param(
            lambda r, e: r.number(e, "k", "p"), None, "p.k", "must be a whole number, which is missing", id="no number"
        ),
        pytest.param(lambda r, e: r.flag(e, "k", "p"), "true", "p.k", "must be true or false", id="flag"),
        pytest.param(lambda r, e: r.objects(e["k"], "p"), {}, "p", "must be a list of objects", id="objects"),
        pytest.param(lambda r, e: r.objects(e["k"], "p"), [1], "p[0]", "must be an object", id="an object"),
        pytest.param(lambda r, e: r.mapping(e["k"], "p"), [], "p", "must be an object", id="mapping"),
        pytest.param(lambda r, e: r.texts(e["k"], "p"), ["a", 1], "p", "must be a list of texts", id="texts"),
    ],
)
def test_what_is_wrong(read: Read, value: Any, path: str, message: str) -> None:
    """One fault, and an empty value to go on with."""
    reader = ExportReader(b"{}", "x.json")
    assert not read(reader, {"k": value})
    assert faults(reader) == [(path, message)]


def test_very_many_faults() -> None:
    """They are counted."""
    reader = ExportReader(b"{}", "x.json")
    reader.objects([1] * 100_000, "p")
    found = faults(reader)
    assert len(found) == MAX_PER_FILE + 1
    assert ("", "has 99,800 more faults") in found


@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    """An object, or a fault."""
    with suppress(LoadError):
        assert isinstance(ExportReader(content, "x").whole, dict)
