"""Suppressions: comments in policy files that accept a lint finding, with a reason.

    - {id: drop-box, …}   # lint: ignore TS104 because scanners only ever add layers

A suppression applies to its own line, or to the next line of content if it is alone on its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tokenserver.documents.document import parse
from tokenserver.errors import LoadError

_MARK = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*lint:(.*)$", re.ASCII)
_SUPPRESSION = re.compile(r"\s*ignore\s+(TS\d{3}(?:\s*,\s*TS\d{3})*)\s+because\s+(\S.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment. `codes` is empty if it is malformed; `applies_to` is a line."""

    line: int
    applies_to: int
    codes: tuple[str, ...]
    reason: str


def find_suppressions(text: str, name: str = "") -> Iterator[Suppression]:
    """The suppressions in the text of one policy file, which is valid YAML, by line.

    Text inside quotes or a block scalar that only looks like a comment is not one.
    """
    lines = text.split("\n")
    marks = [(number, found) for number, line in enumerate(lines) if (found := _MARK.search(line)) is not None]
    if not marks:
        return
    are_all = _are_comments(text, lines, [number for number, _ in marks], name)
    for number, mark in marks:
        if not (are_all or _are_comments(text, lines, [number], name)):
            continue
        matched = _SUPPRESSION.fullmatch(mark[1].rstrip())
        codes = tuple(re.split(r"\s*,\s*", matched[1])) if matched is not None else ()
        yield Suppression(
            number + 1, _target_line(lines, number, mark), codes, matched[2] if matched is not None else ""
        )


def _target_line(lines: list[str], number: int, mark: re.Match[str]) -> int:
    """The line that a suppression applies to, 1-based: its own, or the next one that is not a comment."""
    if lines[number][: mark.start()].strip():
        return number + 1
    for following in range(number + 1, len(lines)):
        content = lines[following].strip()
        if content and not content.startswith("#"):
            return following + 1
    return number + 1


def _are_comments(text: str, lines: list[str], numbers: list[int], name: str) -> bool:
    """Whether these marks are comments: the document has the same value without them."""
    without = list(lines)
    for number in numbers:
        without[number] = _MARK.sub("", without[number])
    try:
        return bool(parse("\n".join(without), name).value == parse(text, name).value)
    except LoadError:
        return False
