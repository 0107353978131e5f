"""The German texts of the pages about policies: none is left over, and none stands twice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tokenserver.web.pages import german
from tokenserver.web.pages.policies.german import GERMAN_OF_POLICIES

TEMPLATES = Path(__file__).parents[4] / "tokenserver" / "web" / "pages" / "templates"
NAMES = ("access", "who_can", "matrix", "playground", "playground_result", "policy_parts")
TEXT = re.compile(r'\b_\("([^"]*)"')


def test_texts() -> None:
    """Each is in one of these templates; `test_german` of the other pages looks for missing ones."""
    texts = {text for name in NAMES for text in TEXT.findall((TEMPLATES / f"{name}.html").read_text("utf-8"))}
    assert len(texts) > 50
    assert GERMAN_OF_POLICIES.keys() - texts == set()


def test_no_text_stands_twice() -> None:
    """Nor in the texts of all pages, which would hide the one here."""
    tree = ast.parse(Path(german.__file__).read_text("utf-8"))
    keys = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
    own = {key.value for key in keys if isinstance(key, ast.Constant)}
    assert own & GERMAN_OF_POLICIES.keys() == set()
