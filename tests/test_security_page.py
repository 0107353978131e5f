"""docs/security.md promises nothing that no test proves: each row names tests, and each of them is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text("utf-8")
DESCRIBED = (TESTS.parent / "docs" / "design" / "threats.md").read_text("utf-8")

ROW = re.compile(r"^\| (B?[0-9]+) \| .*\|$", re.MULTILINE)
PROOF = re.compile(r"`([\w/]+\.py)::(test_\w+)`")

THREATS, REST = PAGE.split("## Not defended by this server", maxsplit=1)
UNDEFENDED, BUGS = REST.split("## Thirty bugs", maxsplit=1)

MACHINES = (
    *(130, 131, 132, 134, 135, 136, 137, 140, 143, 144, 145),
    *range(151, 175),
    *range(176, 244),
    *range(245, 249),
    250,
    *range(253, 263),
)
PROMISED = [str(number) for number in (*range(1, 73), *range(91, 100), *range(101, 112), *range(113, 129), *MACHINES)]
"""The rows that the parts built so far must keep."""

BUG_NUMBERS = [f"B{number}" for number in range(1, 31)]
"""Numbered with a letter, which tells bugs from threats."""


def proofs(text: str) -> dict[str, list[tuple[str, str]]]:
    """The tests that each row names."""
    return {row[1]: PROOF.findall(row[0]) for row in ROW.finditer(text)}


@cache
def functions(file: str) -> set[str]:
    """The tests in a file."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    bodies = (tree.body, *(node.body for node in classes))
    return {node.name for body in bodies for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [pytest.param(THREATS, PROMISED, id="threats"), pytest.param(BUGS, BUG_NUMBERS, id="bugs")],
)
def test_every_row_is_there_with_its_proof(text: str, numbers: list[str]) -> None:
    """In order, each once, none without a test."""
    found = proofs(text)
    assert len(found) == len(ROW.findall(text))
    assert list(found) == numbers
    assert [number for number, named in found.items() if not named] == []


def test_every_row_is_described_under_its_number() -> None:
    """docs/design/threats.md has the same rows, and each row here has the anchor that it links to."""
    described = set(re.findall(r'<a id="((?:threat|bug)-[0-9]+)"></a>', DESCRIBED))
    anchored = re.findall(r'^\| (B?)([0-9]+) \| <a id="((?:threat|bug)-[0-9]+)"></a>', PAGE, re.MULTILINE)
    assert [
        anchor for letter, number, anchor in anchored if anchor != f"{'bug' if letter else 'threat'}-{number}"
    ] == []
    assert {anchor for _, _, anchor in anchored} == described
    assert len(anchored) == len(ROW.findall(PAGE))


def test_every_named_test_exists() -> None:
    """A test that is renamed is renamed on the page."""
    named = {proof for text in (THREATS, BUGS) for row in proofs(text).values() for proof in row}
    missing = {f"{file}::{test}" for file, test in named if not (TESTS / file).is_file() or test not in functions(file)}
    assert missing == set()


def test_what_is_not_defended_is_listed() -> None:
    """A threat without a defence is no row among the promises: it says what to do meanwhile."""
    assert list(proofs(UNDEFENDED)) == ["100", "112"]
