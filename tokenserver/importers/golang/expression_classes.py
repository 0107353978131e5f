"""Classes and escapes of regular expressions: `[a-z]`, `[[:alpha:]]`, `\\d`, `\\pL`, `\\x{41}`."""

from __future__ import annotations

import re

from tokenserver.importers.golang.characters import (
    ANY,
    CATEGORIES,
    MAX_RUNE,
    PERL,
    POSIX,
    Range,
    Ranges,
    category,
    folded,
    merged,
    negated,
)
from tokenserver.importers.golang.expression import BadExpression, ExpressionBeyondLimits

_NAMED = re.compile(r"\[:(.*?):\]", re.DOTALL)
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_OCTAL = re.compile(r"\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})", re.ASCII)
_HEXADECIMAL = re.compile(r"\\x(?:\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{2}))", re.ASCII)
_MAX_DIGITS = 100


def read_class(text: str, at: int, *, fold: bool) -> tuple[Ranges, int]:
    """The characters of the class whose bracket is at `at`, and where it ends.

    Raises:
        BadExpression: Go rejects it.
        ExpressionBeyondLimits: it contains a class that differs between versions of Go.
    """
    at += 1
    is_negated = text.startswith("^", at)
    at += is_negated
    found: list[Range] = []
    is_first = True
    while is_first or not text.startswith("]", at):
        is_first = False
        named = _NAMED.match(text, at)
        escape = class_escape(text, at, fold=fold)
        if named is not None:
            found += _posix(named[1], fold=fold)
            at = named.end()
        elif escape is not None:
            ranges, at = escape
            found += ranges
        else:
            low_high, at = _range(text, at)
            found += folded([low_high]) if fold else [low_high]
    return (negated(found) if is_negated else merged(found)), at + 1


def _posix(name: str, *, fold: bool) -> Ranges:
    is_negated = name.startswith("^")
    ranges = POSIX.get(name[1:] if is_negated else name)
    if ranges is None:
        raise BadExpression("a class such as [:alpha:] has an unknown name")
    ranges = folded(ranges) if fold else ranges
    return negated(ranges) if is_negated else ranges


def _range(text: str, at: int) -> tuple[Range, int]:
    low, at = _class_character(text, at)
    if not text.startswith("-", at) or text[at + 1 : at + 2] in ("", "]"):
        return (low, low), at
    high, at = _class_character(text, at + 1)
    if high < low:
        raise BadExpression("a range of characters is reversed")
    return (low, high), at


def _class_character(text: str, at: int) -> tuple[int, int]:
    if at >= len(text):
        raise BadExpression("a bracket is not closed")
    return escaped_character(text, at) if text[at] == "\\" else (ord(text[at]), at + 1)


def class_escape(text: str, at: int, *, fold: bool) -> tuple[Ranges, int] | None:
    """The characters of an escape such as `\\d` or `\\pL` at `at`, and where it ends; None if it is none of those.

    Raises:
        BadExpression: Go rejects it.
        ExpressionBeyondLimits: the class differs between versions of Go.
    """
    letter = text[at + 1 : at + 2]
    if text[at : at + 1] != "\\" or not letter:
        return None
    if letter in "pP":
        return _unicode(text, at, fold=fold)
    ranges = PERL.get(letter.lower())
    if ranges is None:
        return None
    ranges = folded(ranges) if fold else merged(ranges)
    return (negated(ranges) if letter.isupper() else ranges), at + 2


def _unicode(text: str, at: int, *, fold: bool) -> tuple[Ranges, int] | None:
    is_negated = text[at + 1] == "P"
    begin = at + 2
    if begin >= len(text):
        return None  # the escape \p itself, which is invalid
    end = begin + 1
    name = text[begin]
    if name == "{":
        end = text.find("}", begin) + 1
        if not end:
            raise BadExpression("a class such as \\p{Lu} is not closed")
        name = text[begin + 1 : end - 1]
    if name.startswith("^"):
        is_negated, name = not is_negated, name[1:]
    ranges = _named(name)
    ranges = folded(ranges) if fold else ranges
    return (negated(ranges) if is_negated else ranges), end


def _named(name: str) -> Ranges:
    if name == "Any":
        return ANY
    if name in CATEGORIES:
        return category(name)
    raise ExpressionBeyondLimits("has a class such as \\p{Greek}, which depends on the version of Go")


def escaped_character(text: str, at: int) -> tuple[int, int]:
    """The character that an escape at `at` stands for, and where it ends.

    Raises:
        BadExpression: it is no escape of Go's; backreferences are not.
    """
    letter = text[at + 1 : at + 2]
    if not letter:
        raise BadExpression("it ends with a backslash")
    if letter in _CONTROLS:
        return _CONTROLS[letter], at + 2
    octal = _OCTAL.match(text, at)
    if octal is not None:
        return int(octal[0][1:], 8), octal.end()
    hexadecimal = _HEXADECIMAL.match(text, at)
    if hexadecimal is not None and len(hexadecimal[0]) <= _MAX_DIGITS:
        char = int(hexadecimal[1] or hexadecimal[2], 16)
        if char <= MAX_RUNE:
            return char, hexadecimal.end()
    elif letter.isascii() and not letter.isalnum():
        return ord(letter), at + 2
    raise BadExpression("it has an escape that Go does not know, such as a backreference")
