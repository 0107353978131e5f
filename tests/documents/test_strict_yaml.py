"""Strict YAML: values, rejected constructs, the line of each fault, and no crash on any text."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yaml_outcomes import faults

from tokenserver.documents import strict_yaml
from tokenserver.documents.document import Document, parse, spell
from tokenserver.errors import LoadError


def parsed(text: str) -> Document | LoadError:
    try:
        return parse(text, "f.yaml")
    except LoadError as error:
        return error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no", "no", id="no-is-text"),
        pytest.param("yes", "yes", id="yes-is-text"),
        pytest.param("off", "off", id="off-is-text"),
        pytest.param("on", "on", id="on-is-text"),
        pytest.param("y", "y", id="y-is-text"),
        pytest.param("NO", "NO", id="NO-is-text"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="False"),
        pytest.param("TRUE", True, id="TRUE"),
        pytest.param("tRUE", "tRUE", id="mixed-case-is-text"),
        pytest.param('"true"', "true", id="quoted-true"),
        pytest.param("'12'", "12", id="quoted-number"),
        pytest.param("|\n  12", "12", id="block-number"),
        pytest.param(">\n  12", "12", id="folded-number"),
        pytest.param("12", 12, id="integer"),
        pytest.param("-12", -12, id="negative"),
        pytest.param("+12", 12, id="plus"),
        pytest.param("012", 12, id="leading-zero-is-decimal"),
        pytest.param("1_000", "1_000", id="underscore-is-text"),
        pytest.param("0x1F", "0x1F", id="hexadecimal-is-text"),
        pytest.param("0o17", "0o17", id="octal-is-text"),
        pytest.param("12:30:45", "12:30:45", id="sexagesimal-is-text"),
        pytest.param("2027-01-31", "2027-01-31", id="date-is-text"),
        pytest.param("1.5", 1.5, id="float"),
        pytest.param("1.", 1.0, id="float-without-fraction"),
        pytest.param(".5", 0.5, id="float-without-integer"),
        pytest.param("-1e3", -1000.0, id="exponent"),
        pytest.param("1.2.3", "1.2.3", id="version-is-text"),
        pytest.param("1" * 18, int("1" * 18), id="18-digits"),
        pytest.param("1" * 19, "1" * 19, id="19-digits-are-text"),
        pytest.param("1" * 100_000, "1" * 100_000, id="100000-digits-are-text"),
        pytest.param("١٢", "١٢", id="arabic-digits-are-text"),
        pytest.param(".inf", ".inf", id="inf-is-text"),
        pytest.param("<<", "<<", id="merge-is-text"),
        pytest.param("=", "=", id="equals-is-text"),
        pytest.param("~", None, id="tilde"),
        pytest.param("null", None, id="null"),
        pytest.param('""', "", id="empty-text"),
        pytest.param("[]", [], id="empty-list"),
        pytest.param("{}", {}, id="empty-mapping"),
        pytest.param("[a, [b, 1], {c: no}]", ["a", ["b", 1], {"c": "no"}], id="nested"),
    ],
)
def test_values(text: str, expected: Any) -> None:
    """Plain scalars as the YAML 1.2 core schema reads them; whatever is doubtful stays text."""
    value = parse(f"key: {text}", "f.yaml").value["key"]
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("\n\n", id="blank-lines"),
        pytest.param("# a comment\n", id="comment"),
        pytest.param("---\n", id="document-start"),
        pytest.param("\ufeff", id="byte-order-mark"),
    ],
)
def test_an_empty_document_is_none(text: str) -> None:
    """Nothing in a file is None, not an error and not an empty mapping."""
    assert parse(text, "f.yaml").value is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no: x", {"no": "x"}, id="no"),
        pytest.param("1: x", {"1": "x"}, id="number"),
        pytest.param("true: x", {"true": "x"}, id="boolean"),
        pytest.param("~: x", {"~": "x"}, id="null"),
        pytest.param("<<: {a: 1}", {"<<": {"a": 1}}, id="merge-key-merges-nothing"),
        pytest.param("? a\n: x", {"a": "x"}, id="explicit"),
    ],
)
def test_keys_are_text(text: str, expected: dict[str, Any]) -> None:
    """A key is its literal text, even if a value with that spelling would be something else."""
    assert parse(text, "f.yaml").value == expected


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", ["f.yaml:3: a: the key is already set on line 1"], id="duplicate-key"),
        pytest.param(
            "x:\n  - b: 1\n    b: 1\n",
            ["f.yaml:3: x[0].b: the key is already set on line 2"],
            id="duplicate-key-below",
        ),
        pytest.param("{a: 1, a: 1}", ["f.yaml:1: a: the key is already set on line 1"], id="duplicate-in-flow"),
        pytest.param(
            "a: 1\na: 2\na: 3\nb: {c: 1, c: 2}\n",
            [
                "f.yaml:2: a: the key is already set on line 1",
                "f.yaml:3: a: the key is already set on line 1",
                "f.yaml:4: b.c: the key is already set on line 4",
            ],
            id="every-duplicate-is-told",
        ),
        pytest.param("1: a\n'1': b\n", ["f.yaml:2: 1: the key is already set on line 1"], id="duplicate-by-quotes"),
        pytest.param(
            "a: &x 1\nb: *x\n",
            [
                "f.yaml:1: anchors (&name) are not allowed",
                "f.yaml:2: aliases (*name) are not allowed: write the value out, or quote it if text is meant",
            ],
            id="alias",
        ),
        pytest.param("a: &x {b: *x}\n", None, id="alias-to-itself"),
        pytest.param("a: &x [1]\n", ["f.yaml:1: anchors (&name) are not allowed"], id="anchor-alone"),
        pytest.param("a: !!str 12\n", ["f.yaml:1: tags (!name) are not allowed: quote it if text is meant"], id="tag"),
        pytest.param("a:\n  - !!python/object/apply:os.system [id]\n", None, id="python-tag"),
        pytest.param(
            "a: !custom {b: 1}\n",
            ["f.yaml:1: tags (!name) are not allowed: quote it if text is meant"],
            id="tag-of-a-mapping",
        ),
        pytest.param("a: 1\n---\nb: 2\n", ["f.yaml:2: a file must contain only one YAML document"], id="two-documents"),
        pytest.param("---\n---\n", ["f.yaml:2: a file must contain only one YAML document"], id="two-empty-documents"),
        pytest.param("? [a]\n: 1\n", ["f.yaml:1: a key must be plain text"], id="list-as-key"),
        pytest.param("x:\n  ? {a: 1}\n  : 1\n", ["f.yaml:2: x: a key must be plain text"], id="mapping-as-key"),
        pytest.param("a: 1\nb: [1, 2\n", None, id="not-closed"),
        pytest.param("a: 1\n\tb: 2\n", None, id="tab"),
        pytest.param("a: b: c\n", None, id="two-colons"),
        pytest.param("a: 1\nb: \x00\n", None, id="nul"),
        pytest.param("a: 1\nb: \x07\n", None, id="bell"),
        pytest.param("a: 1\nb: \ud800\n", ["f.yaml:2: is not UTF-8 text"], id="lone-surrogate"),
        pytest.param("%YAML 3.0\n---\na: 1\n", None, id="other-version"),
        pytest.param("@a: 1\n", None, id="reserved-character"),
        pytest.param('a: "\\q"\n', None, id="unknown-escape"),
    ],
)
def test_refused(text: str, expected: list[str] | None) -> None:
    """Each is a LoadError that names the file; where the words are ours, they are checked with the line."""
    found = faults(text)
    assert found != []
    assert all(fault.startswith("f.yaml:") for fault in found)
    assert expected is None or found == expected


def test_a_syntax_error_has_its_line() -> None:
    """The line at which the reader gave up."""
    assert faults("a: 1\nb: 2\nc: @d\n")[0].startswith("f.yaml:3: is not valid YAML: ")


@pytest.mark.parametrize(
    ("opening", "closing"), [pytest.param("[", "]", id="lists"), pytest.param("{a: ", "}", id="mappings")]
)
def test_depth_is_bounded(opening: str, closing: str) -> None:
    """24 levels are read, 25 are refused with the line."""
    assert parse(opening * 24 + closing * 24, "f.yaml").value is not None
    assert faults("\n" + opening * 25 + closing * 25) == ["f.yaml:2: is nested deeper than 24 levels"]


def test_levels_end_where_they_close() -> None:
    """Depth counts open levels only: a hundred lists in a row are one level."""
    assert len(parse("\n".join(f"k{index}: [[a], {{b: c}}]" for index in range(100)), "f.yaml").value) == 100


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB, id="nine-levels-of-aliases"),
        pytest.param("[" * 100_000, id="100000-lists"),
        pytest.param("{a: " * 100_000, id="100000-mappings"),
        pytest.param("- " * 100_000, id="100000-dashes"),
        pytest.param("? " * 10_000, id="10000-question-marks"),
    ],
)
def test_bombs_cost_nothing(text: str) -> None:
    """A bomb is refused in less than 50 ms, because it is refused on events, before anything is built."""
    best = min(_seconds(text) for _ in range(3))
    assert best < 0.05


def _seconds(text: str) -> float:
    started = time.thread_time()
    assert faults(text) != []
    return time.thread_time() - started


REFERENCE = """\
# a comment: with [everything]
version: 1
groups: {web: {users: [ann, "b\\u00f6b"], groups: ['web-devs']}}
allow:
  - id: one
    to: ["group:web"]
    text: |
      two lines
      of text
  - {id: two, number: 1.5, flag: true, nothing: ~}
"""


def test_truncated_at_every_offset() -> None:
    """A file that is cut anywhere is a document or a LoadError, never anything else."""
    for offset in range(len(REFERENCE)):
        outcome = parsed(REFERENCE[:offset])
        if isinstance(outcome, Document):
            assert outcome.value is None or isinstance(outcome.value, (dict, str)), offset
        else:
            assert outcome.faults != (), offset
            assert all(0 <= fault.line <= REFERENCE.count("\n") + 1 for fault in outcome.faults), offset


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 10**17, 10**17)
    | st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.text(st.characters()) | st.text("ab: -\n[]{}&*!|>'\"?,#%@~<=\t0."))
@example("\ud800")
@example("\x85: \x85")
@example("&a [*a]")
def test_any_text_is_a_document_or_a_load_error(text: str) -> None:
    """Nothing else ever comes out of the parser."""
    outcome = parsed(text)
    assert isinstance(outcome, Document) or outcome.faults != ()


def _flow(value: Any) -> str:
    """A value as flow YAML: every text is quoted, and YAML's double quotes take JSON's escapes (no surrogate pairs)."""
    import json

    return json.dumps(value)


@settings(deadline=None)
@given(plain_values)
def test_json_is_read_as_json(value: Any) -> None:
    """Quoted text, numbers and collections come back as they were written."""
    assert parse(_flow(value), "f.yaml").value == value


def test_any_error_of_the_reader_is_a_load_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libyaml raises without a place, and a stack that runs out, are faults of the file as well."""

    class Broken:
        def __init__(self, text: str) -> None: ...

        def check_event(self) -> bool:
            raise RecursionError("too deep\nsecond line")

        def dispose(self) -> None: ...

    monkeypatch.setattr(strict_yaml, "_Loader", Broken)
    assert faults("a: 1") == ["f.yaml: is not valid YAML: too deep"]


def test_the_pure_python_reader_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libyaml is missing, the slower reader reads and refuses alike."""
    import yaml

    with_libyaml = parse(REFERENCE, "f.yaml")
    monkeypatch.setattr(strict_yaml, "_Loader", yaml.SafeLoader)
    assert parse(REFERENCE, "f.yaml") == with_libyaml
    assert faults("a: 1\na: 2\n") == ["f.yaml:2: a: the key is already set on line 1"]
    assert faults("a: \x07") != []


PLACES = """\
server:
  listen: here

  tls: {certificate: a,
        key: b}
list:
  - one
  -
    name: two
  - - three
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param((), 1, id="root"),
        pytest.param(("server",), 1, id="key"),
        pytest.param(("server", "listen"), 2, id="below"),
        pytest.param(("server", "tls"), 4, id="after-a-blank-line"),
        pytest.param(("server", "tls", "key"), 5, id="flow-on-the-next-line"),
        pytest.param(("list", 0), 7, id="first-entry"),
        pytest.param(("list", 1), 9, id="entry-whose-value-begins-below"),
        pytest.param(("list", 1, "name"), 9, id="key-of-an-entry"),
        pytest.param(("list", 2, 0), 10, id="list-in-list"),
        pytest.param(("server", "missing"), 1, id="nearest-above"),
        pytest.param(("list", 1, "missing", "deep"), 9, id="nearest-far-above"),
        pytest.param(("missing",), 1, id="nothing-near"),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    """The line of a place, else of the nearest place above it."""
    document = parse(PLACES, "f.yaml")
    assert document.line(path) == line
    assert document.fault(path, "x").line == line


def test_the_line_of_an_empty_document() -> None:
    """Without any place in the file, the line is 1."""
    assert Document("f.yaml", {}, {}).line(("a", 0)) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param((), "", id="root"),
        pytest.param(("a",), "a", id="key"),
        pytest.param(("registries", 0, "compat"), "registries[0].compat", id="mixed"),
        pytest.param((0, 1), "[0][1]", id="lists"),
    ],
)
def test_spell(path: tuple[str | int, ...], expected: str) -> None:
    """As people write a path."""
    assert spell(path) == expected
