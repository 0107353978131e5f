"""docs/architecture.md agrees with the package: floors, rooms, files and the classes of the glossary."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from syntax_trees import modules

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tokenserver"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]


def section(heading: str) -> str:
    """A section of the page, without its heading."""
    return re.split(r"^## ", PAGE.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def pictures() -> list[str]:
    """The Mermaid blocks of the page."""
    return re.findall(r"^```mermaid\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("contract", "number"),
    [
        pytest.param("floors", 0, id="package"),
        pytest.param("floors of policy", 1, id="policy"),
        pytest.param("floors of doctor", 2, id="doctor"),
    ],
)
def test_floors(contract: str, number: int) -> None:
    """Each picture has the layers of its import contract, from the top, each arrow one floor down."""
    (layers,) = (one["layers"] for one in CONTRACTS if one["name"] == contract)
    picture = pictures()[number]
    names = dict(re.findall(r'\b([a-z]\d+)\["([^"]+)"\]', picture))
    assert list(names.values()) == layers
    assert re.findall(r"^ +([a-z]\d+)(?:\[[^]]*\])? --> ([a-z]\d+)", picture, flags=re.MULTILINE) == list(
        zip(names, list(names)[1:], strict=False)
    )


def test_every_room_has_a_row() -> None:
    """Each package once, and no row for one that is gone; `scripts/architecture --rooms` writes the table."""
    rooms = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py")} - {"."}
    rows = re.findall(r"^\| `([\w/]+)/` \| .+ \|$", section("What lives where"), flags=re.MULTILINE)
    assert sorted(rows) == sorted(rooms)


PAGES = ["CONTRIBUTING.md", "docs/architecture.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
DEEPER = [
    str(path.relative_to(ROOT)) for room in ("design", "decisions") for path in (ROOT / "docs" / room).glob("*.md")
]


@pytest.mark.parametrize("page", sorted({*PAGES, *DEEPER} - {"docs/security.md"}))
def test_every_named_file_exists(page: str) -> None:
    """Whatever a page names as a file of the code is there; docs/security.md has a test of its own."""
    names = set(re.findall(r"`((?:\w+/)+\w+\.py)`", (ROOT / page).read_text("utf-8")))
    assert {name for name in names if not (PACKAGE / name).is_file() and not (ROOT / name).is_file()} == set()


def test_the_glossary_names_what_exists() -> None:
    """Each term has one class or module, and what is renamed is renamed there."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `([\w/.]+)` \|$", section("Glossary"), flags=re.MULTILINE)
    terms = [term for term, _ in rows]
    defined = {node.name for tree in modules().values() for node in tree.body if isinstance(node, ast.ClassDef)}
    assert len(rows) == section("Glossary").count("\n| ") - 1
    assert len(set(terms)) == len(terms)
    assert {name for _, name in rows if not (PACKAGE / name).is_file()} - defined == set()


def test_the_request_is_counted() -> None:
    """The table of frames has its three rows; `scripts/architecture` measures them."""
    rows = re.findall(r"^\| ([a-z ]+) \| \d+ \| \d+ \| \d+ \|$", PAGE, flags=re.MULTILINE)
    assert rows == ["first login", "repeated login", "wrong password"]
