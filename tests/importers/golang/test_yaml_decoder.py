"""YAML in Go's types: the recorded answers of yaml.v2, faults with their lines, and bounded aliases."""

from __future__ import annotations

import time

import pytest
from go_questions import disagreements, recorded

from tokenserver.documents.yaml_nodes import read_nodes
from tokenserver.errors import LoadError
from tokenserver.importers.golang.yaml_decoder import decode
from tokenserver.importers.golang.yaml_types import (
    DecodedStruct,
    GoAnything,
    GoBoolean,
    GoInteger,
    GoList,
    GoPointer,
    GoStruct,
    GoTable,
    GoText,
)

KIND = GoStruct(
    {
        "text": GoText(),
        "number": GoInteger(),
        "wait": GoInteger(duration=True),
        "flag": GoBoolean(),
        "any": GoAnything(),
        "maybe": GoPointer(GoText()),
        "named": GoPointer(GoText(named=True)),
        "list": GoList(GoText()),
        "table": GoTable(GoInteger()),
        "inner": GoStruct({"key": GoText()}),
    }
)


def read(text: str) -> DecodedStruct:
    """A document in Go's types."""
    return decode(read_nodes(text, "f"), KIND, "f")[0]


def test_go_agrees() -> None:
    """Every recorded document, of which about half are accepted."""
    accepted = [answer for _, answer in recorded("yaml") if "error" not in answer]
    assert len(accepted) > 30
    assert disagreements("yaml") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "any: {a: [1, yes, x, 1.5, null], b: {c: d}}", {"a": [1, True, "x", 1.5, None], "b": {"c": "d"}}, id="any"
        ),
        pytest.param("any: 'null'", "null", id="quoted"),
        pytest.param("any: 2026-01-01", "2026-01-01", id="a date"),
        pytest.param("any: !!binary aGk=", "hi", id="binary"),
        pytest.param("any: !!float 3", 3.0, id="a float by its tag"),
        pytest.param("any: !!timestamp 2026-01-01", "2026-01-01", id="a timestamp by its tag"),
    ],
)
def test_anything(text: str, expected: object) -> None:
    """Values without a type of Go's."""
    assert read(text).values["any"] == expected


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param("number: x", ["f:1: number: must be an integer, not another value"], id="no integer"),
        pytest.param("wait: x", ["f:1: wait: must be a duration such as 30s, not another value"], id="no duration"),
        pytest.param("number: .nan", ["f:1: number: must be an integer, not another value"], id="not a number"),
        pytest.param("flag: 1", ["f:1: flag: must be true or false, not another value"], id="no boolean"),
        pytest.param("text: [a]", ["f:1: text: must be text, not a list"], id="a list"),
        pytest.param("maybe: {a: b}", ["f:1: maybe: must be text, not a mapping"], id="a mapping"),
        pytest.param("named: 'null'", ["f:1: named: must be text, not another value"], id="null, for a named type"),
        pytest.param("list: a", ["f:1: list: must be a list, not another value"], id="no list"),
        pytest.param("table: a", ["f:1: table: must be a mapping, not another value"], id="no table"),
        pytest.param("inner: []", ["f:1: inner: must be a mapping, not a list"], id="no structure"),
        pytest.param("[a]: b", ["f:1: must be text, not a list"], id="a key that is a list"),
        pytest.param("table: {[a]: 1}", ["f:1: table: must be text, not a list"], id="a key of a table"),
        pytest.param(
            "table:\n  a: x\nlist:\n- [b]",
            ["f:2: table.a: must be an integer, not another value", "f:4: list[0]: must be text, not a list"],
            id="all of them",
        ),
        pytest.param("number: !!int x", ["f:1: number: cannot be read as !!int"], id="a tag that does not fit"),
        pytest.param("maybe: !!null x", ["f:1: maybe: cannot be read as !!null"], id="no null"),
        pytest.param("text: !!binary '*'", ["f:1: text: is not base64, as its tag !!binary requires"], id="no base64"),
        pytest.param("any: &A [*A]", ["f:1: any[0][0]: the anchor &A contains an alias of itself"], id="a loop"),
        pytest.param("<<: x", ["f:1: must be a mapping, or a list of mappings, to be merged by <<"], id="merged text"),
        pytest.param(
            "x: &A y\n<<: *A", ["f:2: must be a mapping, or a list of mappings, to be merged by <<"], id="alias"
        ),
    ],
)
def test_faults(text: str, faults: list[str]) -> None:
    """All faults of one kind together; the others end the reading, as they do in Go."""
    with pytest.raises(LoadError) as caught:
        read(text)
    assert [str(fault) for fault in caught.value.faults][: len(faults)] == faults


def test_order_of_merges() -> None:
    """A merge wins over the keys before it, and loses against those after it; earlier mappings of a list win."""
    text = "x: &A {text: one, maybe: one}\ntext: before\n<<: [*A, {text: two, named: two}]\nmaybe: after"
    values = read(text).values
    assert (values["text"], values["maybe"], values["named"]) == ("one", "after", "two")


def test_repeated_keys() -> None:
    """A table and a structure grow, a list is replaced."""
    values = read("table: {a: 1, b: 2}\ntable: {b: 3}\nlist: [a, b]\nlist: [c]\ninner: {key: a}\ninner: {}").values
    assert {key: value for key, (_, value) in values["table"].items()} == {"a": 1, "b": 3}
    assert values["list"] == ["c"]
    assert values["inner"].values == {"key": "a"}


def test_ignored_keys() -> None:
    """Each with its path and line, in the order of the document."""
    _, ignored = decode(read_nodes("a: 1\ninner:\n  key: x\n  kee: y\n  ? z\n", "f"), KIND, "f")
    assert ignored == [("a", 1), ("inner.kee", 4), ("inner.z", 5)]


def test_an_empty_document() -> None:
    """It has Go's zero values."""
    values = read("").values
    assert (values["text"], values["number"], values["flag"], values["list"], values["inner"].line) == (
        "",
        0,
        False,
        None,
        0,
    )


def test_chains_of_aliases() -> None:
    """Aliases in aliases are bounded as nested lists are."""
    lines = ["a0: &a0 [x]"] + [f"a{number}: &a{number} [*a{number - 1}]" for number in range(1, 5000)]
    with pytest.raises(LoadError, match="nested deeper than 100 levels"):
        read("\n".join([*lines, "any: *a4999"]))
    assert read("\n".join([*lines, "any: *a20"])).values["any"]


def test_alias_bombs() -> None:
    """They end where yaml.v2 ends them: a document may not come from aliases almost alone."""
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    begin = time.thread_time()
    with pytest.raises(LoadError, match="repeat too much"):
        read("\n".join([*lines, "any: *a29"]))
    assert time.thread_time() - begin < 5
