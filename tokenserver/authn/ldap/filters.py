"""Validates the search filters (RFC 4515) of the configuration before any is sent."""

from __future__ import annotations

import re

USER = "{user}"

MAX_DEPTH = 20
"""Nested filters; a directory or the encoding library rejects more."""

_ATTRIBUTE = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9-]+)*"
_RULE = r"[A-Za-z0-9][A-Za-z0-9.-]*"
_BEFORE_VALUE = re.compile(
    rf" *(?:{_ATTRIBUTE} *(?:[~<>]?=|(?::dn)?(?::{_RULE})? *:=)|(?::dn)?:{_RULE} *:=)", re.ASCII | re.IGNORECASE
)
_HEX = frozenset("0123456789abcdefABCDEF")
_NEAR = 24


class NotAFilter(ValueError):
    """The text is not a filter; the message says where the fault is, and what would be right."""


def check_filter(text: str) -> None:
    """Check that `text` is exactly one filter, in which every `{user}` is a value or a part of one.

    Blanks between the parts are accepted, as they are by the encoding library.

    Raises:
        NotAFilter: anything else.
    """
    place = _Reader(text).filter(_blanks(text, 0), 1)
    if place < len(text):
        raise _fault(text, place, "unexpected text after the filter; combine several filters as (&(…)(…)) or (|(…)(…))")


class _Reader:
    """Parses one text; every method takes the position of an element and returns the position after it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def filter(self, place: int, depth: int) -> int:
        """One filter with its parentheses and the blanks after it."""
        text = self._text
        if not text.startswith("(", place):
            raise _fault(text, place, "a filter begins with (")
        if depth > MAX_DEPTH:
            raise _fault(text, place, f"filters are nested more than {MAX_DEPTH} deep")
        inner = _blanks(text, place + 1)
        mark = text[inner : inner + 1]
        is_joint = mark in ("&", "|", "!")
        end = self._filters(_blanks(text, inner + 1), mark, depth) if is_joint else self._item(inner)
        if not text.startswith(")", end):
            raise _fault(text, end, "a ) is missing")
        return _blanks(text, end + 1)

    def _filters(self, place: int, mark: str, depth: int) -> int:
        if not self._text.startswith("(", place):
            raise _fault(self._text, place, f"{mark} must be followed by a filter in parentheses")
        place = self.filter(place, depth + 1)
        if mark == "!":
            return place
        while self._text.startswith("(", place):
            place = self.filter(place, depth + 1)
        return place

    def _item(self, place: int) -> int:
        text = self._text
        begin = _BEFORE_VALUE.match(text, place)
        if begin is None:
            raise _fault(text, place, "an attribute and = are missing, such as uid=")
        takes_stars = begin[0][-2] not in "~<>:"
        place = begin.end()
        while place < len(text) and text[place] != ")":
            place = self._character(place, takes_stars=takes_stars)
        return place

    def _character(self, place: int, *, takes_stars: bool) -> int:
        text = self._text
        character = text[place]
        if text.startswith(USER, place):
            return place + len(USER)
        if character == "(":
            raise _fault(text, place, r"a parenthesis inside a value is written \28 and \29")
        if character == "\\":
            if len(pair := text[place + 1 : place + 3]) != 2 or not set(pair) <= _HEX:
                raise _fault(
                    text, place, r"a backslash must be followed by two hexadecimal digits; a literal one is written \5c"
                )
            return place + 3
        if character == "*" and not takes_stars:
            raise _fault(text, place, r"* is a wildcard only after =; a literal one is written \2a")
        if character == "*" and text.startswith("*", place + 1):
            raise _fault(text, place, "repeated *; one is enough")
        if not character.isprintable():
            raise _fault(text, place, "a non-printable character is written as its bytes, such as \\c2\\a0")
        return place + 1


def _blanks(text: str, place: int) -> int:
    while text.startswith(" ", place):
        place += 1
    return place


def _fault(text: str, place: int, problem: str) -> NotAFilter:
    near = text[place : place + _NEAR] or text[-_NEAR:]
    where = f"at character {place + 1}" if place < len(text) else "at its end"
    return NotAFilter(f"is no filter {where}, near {near!r}: {problem}")
