"""YAML of other programs as nodes: lines, aliases and tags are kept; what is not YAML is a fault with its line."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.yaml_nodes import MAX_NESTING, NodeKind, YamlNode, read_nodes
from tokenserver.errors import LoadError


def shape(node: YamlNode | None) -> object:
    """A node in short: texts, lists and pairs; an alias as its name."""
    if node is None or node.kind is NodeKind.SCALAR:
        return None if node is None else (node.text, node.line)
    if node.kind is NodeKind.ALIAS:
        return f"*{node.text}"
    children = [shape(child) for child in node.children]
    return children if node.kind is NodeKind.LIST else list(zip(children[::2], children[1::2], strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("# only a comment\n", None, id="a comment"),
        pytest.param("---\n", ("", 2), id="an empty document"),
        pytest.param("\ufeffa: b", [(("a", 1), ("b", 1))], id="a byte order mark at the beginning"),
        pytest.param("a: 1\n---\n[", [(("a", 1), ("1", 1))], id="only the first document is read"),
        pytest.param("a: 1\n...\n}", [(("a", 1), ("1", 1))], id="nothing is read after the end"),
        pytest.param("a: x\na: y", [(("a", 1), ("x", 1)), (("a", 2), ("y", 2))], id="repeated keys"),
        pytest.param("- &A [b]\n- *A", [[("b", 1)], "*A"], id="an alias"),
        pytest.param("- &A a\n- &A b\n- *A", [("a", 1), ("b", 2), "*A"], id="an anchor that is set again"),
        pytest.param("- &A {b: *A}", [[(("b", 1), "*A")]], id="an alias inside its anchor"),
        pytest.param("? [a]\n: b", [([("a", 1)], ("b", 2))], id="a key that is a list"),
    ],
)
def test_shapes(text: str, expected: object) -> None:
    """The nodes with their lines."""
    assert shape(read_nodes(text, "f")) == expected


def test_aliases_refer_to_the_last_anchor() -> None:
    """The one before them."""
    root = read_nodes("- &A a\n- &A b\n- *A", "f")
    assert root is not None
    assert root.children[2].target is root.children[1]


@pytest.mark.parametrize(
    ("text", "plain", "tag"),
    [
        pytest.param("a", True, "", id="plain"),
        pytest.param("'a'", False, "", id="quoted"),
        pytest.param("! a", True, "!", id="the tag that is none"),
        pytest.param("!!str a", False, "tag:yaml.org,2002:str", id="a tag of YAML"),
        pytest.param("!own a", False, "!own", id="a tag of its own"),
    ],
)
def test_tags(text: str, plain: bool, tag: str) -> None:
    """Only a plain scalar's type depends on its text."""
    node = read_nodes(text, "f")
    assert node is not None
    assert (node.plain, node.tag) == (plain, tag)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("a:\n  - b\n c: [", "f:3: is not valid YAML", id="broken"),
        pytest.param("a: 1\nb: *c", "f:2: the alias *c has no anchor before it", id="an unknown alias"),
        pytest.param("a: \udcff\n", "f:1: is not UTF-8 text", id="bytes"),
        pytest.param("a:\n \ufeff b: c", "f:2: has a byte order mark inside", id="a byte order mark inside"),
        pytest.param("a: \x01", "f: is not valid YAML", id="a control character"),
        pytest.param("[" * (MAX_NESTING + 1), f"f:1: is nested deeper than {MAX_NESTING} levels", id="too deep"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    """The line and what is wrong."""
    with pytest.raises(LoadError) as caught:
        read_nodes(text, "f")
    assert str(caught.value).startswith(fault)


def test_aliases_are_not_copied() -> None:
    """A bomb of aliases costs as much as its text."""
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 60)]
    begin = time.thread_time()
    read_nodes("\n".join(lines), "f")
    assert time.thread_time() - begin < 1


@given(st.text(st.sampled_from("ab:-[]{}*&!|>\"'#\n ,?"), max_size=20))
def test_any_text(text: str) -> None:
    """It is a document, or a fault."""
    with suppress(LoadError):
        read_nodes(text, "f")
