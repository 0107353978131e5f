"""docs/images/page-*.png: every page has a picture, and each is as old as the templates that it shows."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from types import ModuleType

import pytest
from script_modules import load_script

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
TEMPLATES = ROOT / "tokenserver" / "web" / "pages" / "templates"
WITHOUT = {"logged_out.html": "is met with a provider of single sign-on alone"}
"""Pages without a picture, and why."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/page-pictures, as a module."""
    return load_script("page-pictures")


def test_every_page_has_one(script: ModuleType) -> None:
    """Each template that is a page, and each part of one that only some pages have."""
    pages = {one.name for one in TEMPLATES.iterdir() if '{% extends "base.html" %}' in one.read_text("utf-8")}
    shown = {name for picture in script.PICTURES for name in picture.templates}
    assert shown | WITHOUT.keys() == pages | {"playground_result.html"}


def test_there_are_no_others(script: ModuleType) -> None:
    """What is no page any more has no picture."""
    assert {one.name for one in IMAGES.glob("page-*.png")} == {script.file_of(one).name for one in script.PICTURES}


def test_they_are_up_to_date(script: ModuleType) -> None:
    """Made from the templates and the style sheet as they are; otherwise: `make page-pictures`."""
    old = [
        one.name
        for one in script.PICTURES
        if script.structure_in(script.file_of(one).read_bytes()) != script.structure_of(one)
    ]
    assert old == []


def test_they_are_small(script: ModuleType) -> None:
    """Each is a PNG of at most 40 kB, as wide as the documentation shows it."""
    for one in script.PICTURES:
        data = script.file_of(one).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(data) <= script.MAX_BYTES, one.name
        assert struct.unpack(">I", data[16:20]) == (860,)


def test_they_are_in_the_documentation(script: ModuleType) -> None:
    """Each once on the page of pictures, with a text that it is read out by."""
    text = (ROOT / "docs" / "pages.md").read_text("utf-8")
    found = re.findall(r"!\[([^\]]+)\]\(images/([\w-]+\.png)\)", text)
    assert sorted(name for _, name in found) == sorted(script.file_of(one).name for one in script.PICTURES)
    assert all(len(title) > 10 for title, _ in found)


def test_the_structure(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It changes with a template that the page uses, and with the style sheet; not with those of other pages."""
    copy = tmp_path / "pages"
    for folder in ("templates", "static"):
        (copy / folder).mkdir(parents=True)
        for one in (TEMPLATES.parent / folder).iterdir():
            (copy / folder / one.name).write_bytes(one.read_bytes())
    monkeypatch.setattr(script, "PAGES", copy)
    login, admin = (next(one for one in script.PICTURES if one.name == name) for name in ("login", "admin"))
    before = script.structure_of(login), script.structure_of(admin)
    for name, changed in (("admin.html", [False, True]), ("parts.html", [True, True]), ("base.html", [True, True])):
        path = copy / "templates" / name
        text = path.read_text("utf-8")
        path.write_text(text + " ", "utf-8")
        now = script.structure_of(login), script.structure_of(admin)
        assert [new != old for new, old in zip(now, before, strict=True)] == changed, name
        path.write_text(text, "utf-8")
    (copy / "static" / "style.css").write_text("", "utf-8")
    assert script.structure_of(login) != before[0]


def test_what_says_nothing(script: ModuleType) -> None:
    """A picture that another program made is out of date."""
    assert script.structure_in(b"\x89PNG") == ""
