"""The pages of the documentation: where they are, and how they read on a terminal."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

INDEX = "README"

_FENCED = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile(r"<!--.*?-->\n*|<a id=\"[\w-]+\"></a>", re.DOTALL)
_LINK = re.compile(r"\[((?:[^][]|\[[^]]*\])*)\]\(([^()\s]+)\)")


def topics() -> dict[str, Path]:
    """The pages by topic, sorted: docs/keys.md is `keys`. The index is none of them."""
    return {path.stem: path for path in sorted(_folder().glob("*.md")) if path.stem != INDEX}


def title_of(path: Path) -> str:
    """A page's first heading, without its marks."""
    heading = next(line for line in path.read_text("utf-8").splitlines() if line.startswith("# "))
    return heading.removeprefix("# ").replace("`", "")


def plain(markdown: str) -> str:
    """A page for a terminal: Markdown without comments, anchors and the targets of links.

    A link to another topic names it, as in `metrics (help metrics)`, unless its text is that name. Code stays as it is.
    """
    known = topics()

    def spelled(link: re.Match[str]) -> str:
        text, target = link[1], link[2].partition("#")[0]
        topic = target.removesuffix(".md")
        if target.startswith("https://"):
            return text if text == link[2] else f"{text} ({link[2]})"
        return f"{text} (help {topic})" if topic in known else text

    parts = _FENCED.split(markdown)
    # Every second part is code.
    shown = [part if number % 2 else _LINK.sub(spelled, _HIDDEN.sub("", part)) for number, part in enumerate(parts)]
    return "".join(shown).strip()


def _folder() -> Path:
    """The documentation: inside the installed package, or next to it in a checkout."""
    package = Path(str(files("tokenserver")))
    packaged = package / "docs"
    return packaged if packaged.is_dir() else package.parent / "docs"
