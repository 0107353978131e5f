"""docs/security.md promises nothing that no test proves: each row names tests, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text("utf-8")

ROW = re.compile(r"^\| ([0-9]+) \| .*\|$", re.MULTILINE)
PROOF = re.compile(r"`([\w/]+\.py)::(test_\w+)`")

THREATS, BUGS = PAGE.split("## Thirty bugs", maxsplit=1)

PROMISED = [
    *(1, *range(12, 21), *range(27, 32), 33, *range(34, 44), *range(45, 53)),
    *(*range(55, 59), *range(60, 73), *range(91, 99), *range(101, 106), 109, 111),
]
"""The rows that the parts built so far must keep; directories and logins under attack have tests that name theirs."""


def proofs(text: str) -> dict[int, list[tuple[str, str]]]:
    """The tests that each row names."""
    return {int(row[1]): PROOF.findall(row[0]) for row in ROW.finditer(text)}


def functions(file: str) -> set[str]:
    """The tests in a file."""
    return {
        node.name
        for node in ast.walk(ast.parse((TESTS / file).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(
    ("text", "numbers"),
    [pytest.param(THREATS, PROMISED, id="threats"), pytest.param(BUGS, list(range(1, 31)), id="bugs")],
)
def test_every_row_is_there_with_its_proof(text: str, numbers: list[int]) -> None:
    """In order, each once, none without a test."""
    found = proofs(text)
    assert list(found) == numbers
    assert [number for number, named in found.items() if not named] == []


def test_every_named_test_exists() -> None:
    """A test that is renamed is renamed on the page."""
    named = {proof for text in (THREATS, BUGS) for row in proofs(text).values() for proof in row}
    missing = {f"{file}::{test}" for file, test in named if not (TESTS / file).is_file() or test not in functions(file)}
    assert missing == set()
