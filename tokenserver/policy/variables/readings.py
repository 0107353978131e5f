"""Readings: the values of `${user}` and the groups with which a pattern covers one name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from tokenserver.patterns import Capture, Pattern, Segment, SegmentKind, fits_around, inside, matches_below
from tokenserver.scopes import is_path_component

_WHOLE = (Capture("", ""),)


def matches_somebody(pattern: Pattern, segments: Sequence[str]) -> bool:
    """Whether the pattern covers the name with these `segments` for any user in any groups."""
    return next(readings(pattern, segments), None) is not None


def readings(pattern: Pattern, segments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each user (the value of `${user}`) and group for which the pattern covers the name (empty: any)."""
    if "/".join(segments[: pattern.depth]) != pattern.prefix:
        return
    users, groups = (
        _values(pattern, kind, segments) if pattern.uses(kind) else [""]
        for kind in (SegmentKind.USER, SegmentKind.GROUP)
    )
    filled = replace(pattern, captures=()) if pattern.captures else pattern
    for user, value in product(users, groups):
        if matches_below(filled, segments, user, (value,)):
            for before, after in pattern.captures or _WHOLE:
                yield user, f"{before}{value}{after}"


def _values(pattern: Pattern, kind: SegmentKind, segments: Sequence[str]) -> list[str]:
    """The values that segments of a kind, each by itself, could have in this name; legal ones only."""
    found: dict[str, None] = {}
    for segment in dict.fromkeys(one for one in pattern.rest if one.kind is kind):
        for text in dict.fromkeys(segments):
            found |= dict.fromkeys(_parts(segment, text))
    return [value for value in found if is_path_component(value)]


def _parts(segment: Segment, text: str) -> Iterable[str]:
    """The parts of one segment of a name that the variable of a segment could stand for."""
    if not segment.pieces:
        return [text]
    if "*" not in segment.text:
        return [inside(segment.pieces, text)]
    before, after = segment.pieces
    starts = range(len(text)) if "*" in before else [len(before)]
    ends = range(len(text) + 1) if "*" in after else [len(text) - len(after)]
    parts = (text[start:end] for start, end in product(starts, ends))
    return (part for part in parts if part and fits_around(segment.pieces, part, text))
