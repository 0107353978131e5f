"""The German texts of the pages about policies: none is missing, and none is left over."""

from __future__ import annotations

import re
from pathlib import Path

from tokenserver.web.pages.german import GERMAN
from tokenserver.web.pages.policies.german import GERMAN_OF_POLICIES

TEMPLATES = Path(__file__).parents[4] / "tokenserver" / "web" / "pages" / "templates"
NAMES = ("access", "who_can", "matrix", "playground", "playground_result", "policy_parts")
TEXT = re.compile(r"""\b_\("((?:[^"\\]|\\.)*)\"""")


def test_texts() -> None:
    """Each text of these templates, in one of the two lists."""
    texts = {text for name in NAMES for text in TEXT.findall((TEMPLATES / f"{name}.html").read_text("utf-8"))}
    assert len(texts) > 50
    assert texts - GERMAN.keys() - GERMAN_OF_POLICIES.keys() == set()
    assert GERMAN_OF_POLICIES.keys() - texts == set()


def test_values() -> None:
    """Both languages have the same values in a text."""
    for english, german in GERMAN_OF_POLICIES.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", german)), english
