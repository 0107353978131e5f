"""Silences: comments in policy files that say which finding of lint is meant to be there, and why.

    - {id: drop-box, …}   # lint: ignore TS104 because scanners only ever add layers

A silence speaks for the line it stands on, or for the next line with something in it where it stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tokenserver.documents.document import parse
from tokenserver.errors import LoadError

_MARK = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*lint:(.*)$", re.ASCII)
_SILENCE = re.compile(r"\s*ignore\s+(TS\d{3}(?:\s*,\s*TS\d{3})*)\s+because\s+(\S.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Silence:
    """One comment. `codes` is empty where it cannot be understood; `speaks_for` is the line that it is about."""

    line: int
    speaks_for: int
    codes: tuple[str, ...]
    reason: str


def find_silences(text: str, name: str = "") -> Iterator[Silence]:
    """The silences in the text of one policy file, which is valid YAML, by line.

    What only looks like a comment, because it stands inside quotes or a block of text, is none.
    """
    lines = text.split("\n")
    marks = [(number, found) for number, line in enumerate(lines) if (found := _MARK.search(line)) is not None]
    if not marks:
        return
    all_at_once = _are_comments(text, lines, [number for number, _ in marks], name)
    for number, mark in marks:
        if not (all_at_once or _are_comments(text, lines, [number], name)):
            continue
        matched = _SILENCE.fullmatch(mark[1].rstrip())
        codes = tuple(re.split(r"\s*,\s*", matched[1])) if matched is not None else ()
        yield Silence(number + 1, _speaks_for(lines, number, mark), codes, matched[2] if matched is not None else "")


def _speaks_for(lines: list[str], number: int, mark: re.Match[str]) -> int:
    """A comment that stands alone is about the next line that is more than a comment."""
    if lines[number][: mark.start()].strip():
        return number + 1
    for following in range(number + 1, len(lines)):
        content = lines[following].strip()
        if content and not content.startswith("#"):
            return following + 1
    return number + 1


def _are_comments(text: str, lines: list[str], numbers: list[int], name: str) -> bool:
    """Whether the document says the same without them: that is what makes a comment one."""
    without = list(lines)
    for number in numbers:
        without[number] = _MARK.sub("", without[number])
    try:
        return bool(parse("\n".join(without), name).value == parse(text, name).value)
    except LoadError:
        return False
