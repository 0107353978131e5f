"""Globs over the values of claims: those of repository patterns, for values with any printable characters.

`*` is any run of characters inside one segment, `**` one or more whole segments; segments end at each `/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

from tokenserver.errors import TokenserverError
from tokenserver.patterns import Pattern, Segment, SegmentKind, matches

MAX_VALUE = 1024
"""Limit for the characters of a value."""

MAX_WILDCARDS = 16
"""Limit for the `*` and `**` of one glob, which bounds the cost of matching a value."""

MAX_MANY = 3
"""Limit for the `**` of one glob, which bounds the cost of comparing it with another."""

FRESH = "\0"
"""A character that no glob and no value has."""


class ClaimError(TokenserverError):
    """An invalid name or value of a claim; the text says what is expected."""


@lru_cache(maxsize=4096)  # the workloads of a tree share most of their values
def parse_claim_glob(text: str) -> Pattern:
    """The values of a claim that a declared workload accepts.

    Raises:
        ClaimError: no value could match it, or it has a variable.
    """
    if not text or len(text) > MAX_VALUE or not text.isprintable():
        raise ClaimError(f"a value of a claim has 1 to {MAX_VALUE} printable characters")
    if "${" in text:
        raise ClaimError(f"{text!r}: values of claims have no variables; fix: write * in their place")
    if text.count("*") > MAX_WILDCARDS:
        raise ClaimError(f"{text!r}: has more than {MAX_WILDCARDS} wildcards")
    parts = text.split("/")
    if parts.count("**") > MAX_MANY:
        raise ClaimError(f"{text!r}: has more than {MAX_MANY} segments **")
    return _pattern(text, parts, tuple(map(_segment, parts)))


def _pattern(text: str, parts: list[str], segments: tuple[Segment, ...]) -> Pattern:
    depth = 0
    while depth < len(segments) and segments[depth].kind is SegmentKind.LITERAL:
        depth += 1
    return Pattern(text, "/".join(parts[:depth]), depth, segments[depth:])


def _segment(part: str) -> Segment:
    if part == "**":
        return Segment(SegmentKind.MANY, part)
    if "**" in part:
        raise ClaimError(f"{part!r}: ** must be a whole segment, between slashes; fix: use * inside a segment")
    if "*" in part:
        return Segment(SegmentKind.GLOB, part, tuple(part.split("*")))
    return Segment(SegmentKind.LITERAL, part)


def is_literal(glob: Pattern) -> bool:
    """Whether the glob is one value."""
    return not glob.rest


def is_any(glob: Pattern) -> bool:
    """Whether the glob has nothing but wildcards, so that it says only how many segments a value has."""
    return not glob.text.strip("*/")


def accepts(globs: Iterable[Pattern], value: str) -> bool:
    """Whether one of the globs is for this value."""
    segments = value.split("/")
    return any(matches(glob, segments, None, ()) for glob in globs)


def is_accepted(glob: Pattern, wider: Iterable[Pattern]) -> bool:
    """Whether one of the `wider` globs is for every value that `glob` is for.

    Only a wildcard covers a wildcard, so it is enough to try a text that nothing else has in place of each. A `**`,
    which alone covers empty segments, is tried as one segment and as more segments than any of the wider globs has. If
    some of the wider globs are only together for every value of a `**`, such as `*` and `*/**`, the answer is no.
    """
    wider = tuple(wider)
    if is_literal(glob):
        return accepts(wider, glob.text)
    most = 1 + max((one.depth + len(one.rest) for one in wider), default=0)
    samples = [sample.split("/") for sample in _samples(glob, most)]
    return any(all(matches(one, sample, None, ()) for sample in samples) for one in wider)


def _samples(glob: Pattern, most: int) -> Iterator[str]:
    ways = [_ways(one, most) for one in glob.rest]
    head = (glob.prefix,) if glob.depth else ()
    for chosen in product(*ways):
        yield "/".join([*head, *chosen])


def _ways(segment: Segment, most: int) -> tuple[str, ...]:
    if segment.kind is SegmentKind.MANY:
        return FRESH, "", "/".join([FRESH] * most), "/" * (most - 1)
    return (segment.text.replace("*", FRESH),)
