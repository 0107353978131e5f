"""Filled patterns: a pattern with values in the place of its variables, which is a pattern without variables.

A pattern is partial if a variable is a part of a segment, or captures a part of a group's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

from tokenserver.patterns import Capture, Pattern, Segment, SegmentKind
from tokenserver.scopes import is_path_component

VARIABLES = (SegmentKind.USER, SegmentKind.GROUP)

WHOLE = ("", "")
"""The texts around a variable that is a whole segment."""

_WHOLE_NAME = (Capture("", ""),)


def segments_of(pattern: Pattern) -> tuple[Segment, ...]:
    """All segments of a pattern, with its literal prefix."""
    prefix = pattern.prefix.split("/") if pattern.depth else []
    return (*(Segment(SegmentKind.LITERAL, text) for text in prefix), *pattern.rest)


def pattern_of(segments: Sequence[Segment], captures: tuple[Capture, ...] = ()) -> Pattern:
    """A pattern from its segments; `captures` are what those of the kind `GROUP` mean."""
    depth = 0
    while depth < len(segments) and segments[depth].kind is SegmentKind.LITERAL:
        depth += 1
    texts = [segment.text for segment in segments]
    groups = sum(segment.kind is SegmentKind.GROUP for segment in segments)
    return Pattern(
        *("/".join(texts), "/".join(texts[:depth]), depth, tuple(segments[depth:]), groups > 1),
        captures if groups else (),
    )


def is_partial(pattern: Pattern) -> bool:
    """Whether a variable of the pattern is a part of a segment, or a part of a group's name."""
    return bool(pattern.captures) or any(one.pieces and one.kind in VARIABLES for one in pattern.rest)


def has_variables(pattern: Pattern) -> bool:
    """Whether the pattern uses any variable."""
    return any(pattern.uses(kind) for kind in VARIABLES)


def captures_of(pattern: Pattern) -> tuple[Capture, ...]:
    """What its segments of the kind `GROUP` are of a group's name: a single capture without texts if it is all."""
    return pattern.captures or _WHOLE_NAME


def captured(pattern: Pattern, group: str) -> list[str]:
    """The legal values that a group of this name gives to the variable of the pattern."""
    values = (one.value(group) for one in captures_of(pattern))
    return list(dict.fromkeys(value for value in values if value is not None))


def filled(pattern: Pattern, user: str | None = None, group: str | None = None) -> tuple[Pattern, ...]:
    """The pattern for the user and the members of the group; None leaves the variable as it is.

    It is none if the variable cannot have this value. Several captures can read one name in several ways.
    """
    values: dict[SegmentKind, Sequence[str | None]] = {kind: [None] for kind in VARIABLES}
    if user is not None and pattern.uses(SegmentKind.USER):
        values[SegmentKind.USER] = [user] if is_path_component(user) else []
    if group is not None and pattern.uses(SegmentKind.GROUP):
        values[SegmentKind.GROUP] = captured(pattern, group)
    return tuple(_with_values(pattern, *pair) for pair in product(*values.values()))


def widened(pattern: Pattern) -> Pattern:
    """The pattern with a `*` for each variable that is a part of a segment, or of a group's name.

    It covers every name that the pattern covers, for the same user and a group of some name.
    """
    return pattern_of([_widened(one, is_name=not pattern.captures) for one in segments_of(pattern)])


def _widened(segment: Segment, *, is_name: bool) -> Segment:
    if segment.kind not in VARIABLES or (not segment.pieces and (is_name or segment.kind is SegmentKind.USER)):
        return segment
    return plain("*".join(segment.pieces or WHOLE).replace("**", "*"))


def _with_values(pattern: Pattern, user: str | None, group: str | None) -> Pattern:
    values = {SegmentKind.USER: user, SegmentKind.GROUP: group}
    segments = []
    for one in segments_of(pattern):
        value = values.get(one.kind)
        segments.append(one if value is None else plain(value.join(one.pieces or WHOLE)))
    return pattern_of(segments, pattern.captures if group is None else ())


@lru_cache(maxsize=65536)
def plain(text: str) -> Segment:
    """The segment with this text, without variables."""
    if "*" in text:
        return Segment(SegmentKind.GLOB, text, tuple(text.split("*")))
    return Segment(SegmentKind.LITERAL, text)


def of_any_group(pattern: Pattern) -> Pattern:
    """The pattern with a `*` for the group's name or the captured part of it."""
    segments = segments_of(pattern)
    return pattern_of([_of_any_name(one) if one.kind is SegmentKind.GROUP else one for one in segments])


def _of_any_name(segment: Segment) -> Segment:
    return plain("*".join(segment.pieces or WHOLE).replace("**", "*"))
