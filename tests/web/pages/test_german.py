"""The German texts: each text of a page has one, none is left over, and both have the same values in them."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from tokenserver.authn.oidc import refusals
from tokenserver.web.pages import login
from tokenserver.web.pages.account import admin, overview, robots
from tokenserver.web.pages.account.endings import ENDINGS
from tokenserver.web.pages.account.secret_form import LIFETIMES, USES
from tokenserver.web.pages.forms import TYPED
from tokenserver.web.pages.german import GERMAN
from tokenserver.web.pages.shell import HOME_PLACES, NAVIGATION

PAGES = Path(__file__).parents[3] / "tokenserver" / "web" / "pages"
TEMPLATE_TEXT = re.compile(r'_\("([^"]*)"')


def translated() -> set[str]:
    """The texts that templates translate."""
    return {text for path in PAGES.glob("templates/*.html") for text in TEMPLATE_TEXT.findall(path.read_text("utf-8"))}


def written() -> set[str]:
    """All strings in the code of pages."""
    trees = [ast.parse(path.read_text("utf-8")) for path in PAGES.rglob("*.py") if path.name != "german.py"]
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def tables() -> set[str]:
    """The texts in the tables that templates are given."""
    notes = {text for module in (overview, admin, login, robots) for text in module.NOTES.values()}
    rows = {text for _, text in LIFETIMES} | {text for text, _ in USES.values()} | {text for _, text in HOME_PLACES}
    rows |= {text for ending in ENDINGS for text in ending} | {label for _, label in TYPED}
    refused = {text for name, text in vars(refusals).items() if name.isupper()}
    return notes | refused | rows | {text for _, text, _ in NAVIGATION}


def problems() -> set[str]:
    """The titles and texts of error pages: the sentences in the module of that name."""
    calls = [
        node for node in ast.walk(ast.parse((PAGES / "errors.py").read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "PageProblem"]
    texts = [one.value for call in made for one in call.args if isinstance(one, ast.Constant)]
    return {text for text in texts if isinstance(text, str)}


def test_every_text_of_a_table() -> None:
    """So do the tables of the code, and what error pages say."""
    assert (tables() | problems()) - GERMAN.keys() == set()
    assert len(problems()) > 10


def test_every_text_of_a_template() -> None:
    """A new text fails here until it is translated."""
    assert translated() - GERMAN.keys() == set()


def test_every_text_is_used() -> None:
    """A text that has gone from the pages goes from the translations."""
    assert GERMAN.keys() - translated() - written() - tables() == set()


@pytest.mark.parametrize("text", sorted(GERMAN))
def test_the_same_values(text: str) -> None:
    """What stands for a value is in both, and a sentence is not left as it is."""
    names = [sorted(name for _, name, _, _ in string.Formatter().parse(one) if name) for one in (text, GERMAN[text])]
    assert names[0] == names[1]
    assert text != GERMAN[text] or " " not in text.removesuffix(" {repositories}")
