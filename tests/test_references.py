"""References lead somewhere: paths with anchors in code and tests, and relative links between Markdown pages."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRACKED = subprocess.check_output(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
)
FILES = [name for name in TRACKED.splitlines() if (ROOT / name).is_file() and not name.startswith("tests/corpus/")]
PAGES = [name for name in FILES if name.endswith(".md")]
CODE = [name for name in FILES if name not in PAGES and not name.endswith((".png", ".lock"))]

PATH = re.compile(r"(?<![\w/.-])((?:docs/[\w/-]+|CONTRIBUTING|SECURITY|README)\.md)(?:#([\w-]+))?")
"""A reference in code: the page as seen from the project's root, with an anchor or without."""

ANCHOR = re.compile(r"\b((?:threat|fault|bug)-[0-9]+)\b")
"""In the id of a test, the anchor stands alone."""

LINK = re.compile(r"(?<!!)\[(?:[^][]|\[[^]]*\])*\]\(([^()\s]+)\)")

OLD = re.compile(
    r"(?<![\w#/-])(?:[Tt]hreats?|[Rr]ows?|[Ff]aults?|[Bb]ugs?) [FB]?[0-9]+\b"
    r"|\b[Hh]ouse rules? [0-9]"
    r"|(?<![\w/-])(?:design|wire|threats|credentials|pitfalls|house|style)\.md(?!\")"
    r"|(?<=\()F[0-9]{1,2}\b|(?<=\"\"\")F[0-9]{1,2}\b"
)
"""References as they were written before: a number without a page, or a page that is not here."""

FOREIGN = {"docs/spec/auth/jwt.md"}
"""Paths in other projects' repositories."""


@cache
def text_of(name: str) -> str:
    """A file as text."""
    return (ROOT / name).read_text("utf-8", errors="replace")


def without_code(text: str) -> str:
    """A page without its fenced code and inline code: what looks like a link there is none."""
    return re.sub(r"`[^`\n]*`", "``", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


@cache
def anchors(name: str) -> frozenset[str]:
    """What can stand behind `#` for a page."""
    text = re.sub(r"^```.*?^```", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a id="([\w-]+)"></a>', text))
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, flags=re.MULTILINE):
        name_of = slug(heading)
        count = seen.get(name_of, 0)
        seen[name_of] = count + 1
        found.add(f"{name_of}-{count}" if count else name_of)
    return frozenset(found)


def fault_of(page: str, anchor: str | None) -> str | None:
    """Why a reference leads nowhere, or None."""
    path = ROOT / page
    if not path.exists():
        return "no such file"
    if anchor and (not page.endswith(".md") or anchor not in anchors(page)):
        return f"no anchor #{anchor}"
    return None


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        pytest.param("Who can do this?", "who-can-do-this", id="punctuation"),
        pytest.param("TS101: a rule that can never apply", "ts101-a-rule-that-can-never-apply", id="colon"),
        pytest.param("Which `compat`", "which-compat", id="code"),
        pytest.param("[0.1.0] - 2026-11-28", "010---2026-11-28", id="link text and dashes"),
    ],
)
def test_slug(heading: str, anchor: str) -> None:
    """Anchors are spelled as GitHub spells them."""
    assert slug(heading) == anchor


def test_the_rules_find_what_they_should() -> None:
    """A pattern that matches nothing would make every other test here pass."""
    assert PATH.findall("see docs/design/threats.md#threat-27, docs/ldap.md") == [
        ("docs/design/threats.md", "threat-27"),
        ("docs/ldap.md", ""),
    ]
    assert LINK.findall("[a](b.md#c) and ![image](d.png) and [`e`](f)") == ["b.md#c", "f"]
    old = ["Threat " + "27", "rows " + "1 and 2", "(F" + "39)", "bug B" + "30", "house rule " + "2", "wire" + ".md"]
    assert [text for text in old if OLD.search(text) is None] == []
    assert OLD.search("docs/design/wire.md#chunked-forms and docs/design/threats.md#fault-39") is None
    assert {"threat-1", "fault-39", "bug-30"} <= anchors("docs/design/threats.md")


def test_references_in_code() -> None:
    """Each page and anchor that code, tests or configuration name is there."""
    faults = {}
    for name in CODE:
        if name == "tests/test_references.py":
            continue
        text = text_of(name)
        for page, anchor in set(PATH.findall(text)):
            fault = fault_of(page, anchor or None)
            if page not in FOREIGN and fault is not None:
                faults[name, page, anchor] = fault
        if name.endswith(".py"):
            unknown = set(ANCHOR.findall(text)) - anchors("docs/design/threats.md")
            faults.update({(name, "docs/design/threats.md", anchor): "no such anchor" for anchor in unknown})
    assert faults == {}


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages(name: str) -> None:
    """Each relative link leads to a file, and to a place in it."""
    faults: dict[str, str] = {}
    for target in LINK.findall(without_code(text_of(name))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        try:
            page = str(path.resolve().relative_to(ROOT))
        except ValueError:
            faults[target] = "leads out of the project"
            continue
        fault = fault_of(page, anchor or None)
        if fault is not None:
            faults[target] = fault
    assert faults == {}


def test_no_reference_of_the_old_form_is_left() -> None:
    """A number without a page leads nowhere; write `docs/design/threats.md#threat-27`."""
    found = {
        f"{name}:{number}: {line.strip()}"
        for name in CODE
        if name != "tests/test_references.py" and OLD.search(text_of(name))
        for number, line in enumerate(text_of(name).splitlines(), 1)
        if OLD.search(line)
    }
    assert found == set()
