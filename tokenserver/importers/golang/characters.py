"""Sets of characters of regular expressions: ranges, their negation and case folding, and the named classes of RE2."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from itertools import groupby

Range = tuple[int, int]
Ranges = tuple[Range, ...]

MAX_RUNE = 0x10FFFF
ANY: Ranges = ((0, MAX_RUNE),)
NOT_NEWLINE: Ranges = ((0, 9), (11, MAX_RUNE))

_LAST_FOLDED = 0x1E943

_DIGIT: Ranges = ((0x30, 0x39),)
_SPACE: Ranges = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_UPPER: Range = (0x41, 0x5A)
_LOWER: Range = (0x61, 0x7A)

PERL: dict[str, Ranges] = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
"""The classes that a backslash and a letter name; an upper-case letter negates them."""

POSIX: dict[str, Ranges] = {
    "alnum": (*_DIGIT, _UPPER, _LOWER),
    "alpha": (_UPPER, _LOWER),
    "ascii": ((0, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": (_LOWER,),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": (_UPPER,),
    "word": _WORD,
    "xdigit": (*_DIGIT, (0x41, 0x46), (0x61, 0x66)),
}

_MAJOR = ("L", "M", "N", "P", "S", "Z")
_MINOR = (
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
    *("Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"),
)
CATEGORIES = frozenset((*_MAJOR, *_MINOR))
"""The Unicode categories that are the same in all versions of Go, but for characters that are younger than Python."""


def merged(ranges: Iterable[Range]) -> Ranges:
    """The same characters in sorted ranges that neither overlap nor touch."""
    clean: list[Range] = []
    for low, high in sorted(ranges):
        if clean and low <= clean[-1][1] + 1:
            clean[-1] = (clean[-1][0], max(clean[-1][1], high))
        else:
            clean.append((low, high))
    return tuple(clean)


def negated(ranges: Iterable[Range]) -> Ranges:
    """All other characters."""
    rest: list[Range] = []
    start = 0
    for low, high in merged(ranges):
        if start < low:
            rest.append((start, low - 1))
        start = high + 1
    if start <= MAX_RUNE:
        rest.append((start, MAX_RUNE))
    return tuple(rest)


def contains(ranges: Ranges, char: int) -> bool:
    """Whether a character is in merged ranges."""
    at = bisect_right(ranges, (char, MAX_RUNE)) - 1
    return at >= 0 and char <= ranges[at][1]


def folded(ranges: Iterable[Range]) -> Ranges:
    """The characters and all that differ from them in case alone."""
    clean = merged(ranges)
    if clean == ANY:
        return clean
    orbits = _orbits()
    if sum(high - low + 1 for low, high in clean) < len(orbits):
        found = [char for low, high in clean for char in range(low, high + 1) if char in orbits]
    else:
        found = [char for char in orbits if contains(clean, char)]
    others = {other for char in found for other in orbits[char]}
    return merged([*clean, *((other, other) for other in others)])


@cache
def category(name: str) -> Ranges:
    """The characters of one of `CATEGORIES`."""
    return merged(found for minor, ranges in _categories().items() if minor.startswith(name) for found in ranges)


@cache
def _categories() -> dict[str, list[Range]]:
    """The characters of each minor category, in one pass over Unicode."""
    ranges: defaultdict[str, list[Range]] = defaultdict(list)
    start = 0
    for minor, same in groupby(map(unicodedata.category, map(chr, range(MAX_RUNE + 1)))):
        count = sum(1 for _ in same)
        ranges[minor].append((start, start + count - 1))
        start += count
    return ranges


@cache
def _orbits() -> dict[int, tuple[int, ...]]:
    """For each character with other cases, all characters that Unicode's simple folding makes equal to it."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for char in range(_LAST_FOLDED + 1):
        text = chr(char)
        groups[_simple_fold(text)].append(char)
    return {char: tuple(group) for group in groups.values() if len(group) > 1 for char in group}


def _simple_fold(text: str) -> str:
    fold = text.casefold()
    if len(fold) == 1:
        return fold
    lower = text.lower()
    return lower if len(lower) == 1 else text
