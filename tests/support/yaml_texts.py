"""All YAML documents that the tests contain, good and bad, as the tests' own source has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tokenserver.documents.document import Document, parse
from tokenserver.errors import LoadError

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


@cache
def documents_with(key: str) -> list[Document]:
    """Each different mapping with this key at its top that stands in a string of a test or in a YAML file of the
    repository; `file` is where.
    """
    texts = [(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in _yaml_files()]
    texts += [(place, value) for path in sorted(TESTS.rglob("*.py")) for place, value in _strings(path, f"{key}:")]
    found: dict[str, Document] = {}
    for place, text in texts:
        try:
            document = parse(text, place)
        except LoadError:
            continue
        if isinstance(document.value, dict) and key in document.value:
            found.setdefault(repr(document.value), document)
    return list(found.values())


def _strings(path: Path, part: str) -> Iterator[tuple[str, str]]:
    """The strings of a module that have this part, each with its place."""
    source = path.read_text("utf-8")
    if part in source:  # parsing all of the tests takes seconds
        for place, value in _all_strings(source, str(path.relative_to(ROOT))):
            if part in value:
                yield place, value


@cache
def _all_strings(source: str, name: str) -> list[tuple[str, str]]:
    """Kept, since most modules with one key have the other one too."""
    constants = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return [(f"{name}:{node.lineno}", node.value) for node in constants if isinstance(node.value, str)]


def _yaml_files() -> list[Path]:
    folders = ("policies", "deploy", "docs", "tests/corpus")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.y*ml"))
