"""docs/images: the terminal pictures are what the commands print now."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from script_modules import load_script

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def screenshots() -> ModuleType:
    """scripts/screenshots, as a module."""
    return load_script("screenshots")


@pytest.mark.long
def test_they_are_up_to_date(screenshots: ModuleType) -> None:
    """All of them, and there are no others; after a change: `.venv/bin/python scripts/screenshots`."""
    committed = {path.name: path.read_text("utf-8") for path in IMAGES.glob("*.svg")}
    assert committed == screenshots.pictures()


@pytest.mark.parametrize("path", sorted(IMAGES.glob("*.svg")), ids=lambda path: path.stem)
def test_they_are_on_the_first_page(path: Path) -> None:
    """Each with the text that it is read out by."""
    title = ElementTree.parse(path).getroot().get("aria-label")  # noqa: S314 - our own file
    assert f"![{title}](docs/images/{path.name})" in (ROOT / "README.md").read_text("utf-8")


def test_text_is_escaped(screenshots: ModuleType) -> None:
    """Whatever a command prints is text in the picture."""
    picture = screenshots.Picture("x", "a <title> & more", "tokenserver check")
    drawn = ElementTree.fromstring(screenshots.draw(picture, "ok <b>&amp;</b>\n\n  denied"))  # noqa: S314 - our own
    texts = ["".join(one.itertext()) for one in drawn if one.tag.endswith("text")]
    assert texts == ["$ tokenserver check", "ok <b>&amp;</b>", "  denied"]
    assert re.fullmatch(r"a <title> & more", drawn.get("aria-label") or "") is not None
