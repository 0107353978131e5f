"""Reasons of management in another language: every one has a translation, with its values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver import errors
from tokenserver.management import refusals
from tokenserver.web.pages.account.german import GERMAN_REASONS
from tokenserver.web.pages.rendering.reasons import Reasons

PACKAGE = Path(errors.__file__).parent
RAISED = {
    "management": {"MayNotManage", "NotFoundHere", "Conflict", "WishFault", "InvalidTerm", "of", "ended_before"},
    "storage/store.py": {"RotatedAlready", "NoSuchCredential", "TooManyCredentials"},
    "patterns.py": {"PatternError"},
    "web/pages/account": {"of"},
}
"""What raises a reason that a page may show, by where it is raised."""

ELSEWHERE = {
    "must be a plain name such as catalog, without wildcards": "of rules about registries",
    "v; fix: see which one is used, and end the other one": "begins with `third_secret`; below it is whole",
    "v: v": "a mistake in a variable, which only rules have",
}
"""Texts that no page shows, with what they are about."""


def spelled(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, with `v` for each value."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "v" for one in values)
        case _:
            pass


def raised(place: str, names: set[str]) -> set[str]:
    """The texts of what is raised in a file or folder."""
    path = PACKAGE / place
    trees = [ast.parse(one.read_text("utf-8")) for one in ([path] if path.is_file() else path.rglob("*.py"))]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    found = [one for one in calls if getattr(one.func, "id", getattr(one.func, "attr", "")) in names]
    return {text for one in found for text in spelled(one.args[-1])}


def networks() -> set[str]:
    """What is wrong with networks."""
    tree = ast.parse((PACKAGE / "policy" / "terms.py").read_text("utf-8"))
    (function,) = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "parse_network"]
    calls = [one for one in ast.walk(function) if isinstance(one, ast.Call)]
    return {text for one in calls if getattr(one.func, "id", "") == "TermError" for text in spelled(one.args[0])}


@cache
def reasons() -> set[str]:
    """All reasons."""
    found = {text for place, names in RAISED.items() for text in raised(place, names)} | networks()
    third = "the robot v has v live secrets, in files and stored, which is the limit"
    found |= {
        str(refusals.ProofTooOld()),
        "credential may not manage",
        f"{third}; fix: see which one is used, and end the other one",
    }
    return found - ELSEWHERE.keys()


def test_what_is_found() -> None:
    """Nearly all of the table, so the search finds what is raised."""
    assert len(reasons()) > 35
    assert {"v: repository names are lower case", "there is no such login"} <= reasons()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_has_a_translation(reason: str) -> None:
    """A new reason fails here until it has one."""
    german = str(Reasons(GERMAN_REASONS).translated(reason))
    assert "lang=" not in german, reason


@pytest.mark.parametrize("text", sorted(GERMAN_REASONS))
def test_every_translation_is_used(text: str) -> None:
    """A reason that has gone takes its translation with it."""
    one = Reasons({text: "x"})
    assert any(str(one.translated(reason)) == "x" for reason in reasons()), text


@given(st.text(), st.text())
def test_values(name: str, hint: str) -> None:
    """They are in the translation, escaped."""
    found = Reasons({"no {name}; {hint}": "kein {name}"})
    assert "<" not in str(found.translated(f"no {name}; {hint}"))
    assert str(Reasons({}).translated(name)) == str(Reasons({"x{a}y": "{a}"}).translated(f"x{name}y"))


def test_an_unknown_reason_stays() -> None:
    """On a page in another language, it says that it is English."""
    assert str(Reasons({"a": "b"}).translated("<c>")) == '<span lang="en">&lt;c&gt;</span>'
    assert str(Reasons({}).translated("<c>")) == "&lt;c&gt;"
