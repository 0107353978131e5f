"""Intersection of patterns, spelled as patterns; and patterns with the name of a group filled in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tokenserver.patterns import Pattern, Segment, SegmentKind
from tokenserver.policy.analysis.containment import contains, overlaps
from tokenserver.policy.analysis.product_states import fits
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.variables.filling import VARIABLES, WHOLE, is_partial, pattern_of, plain, segments_of, widened
from tokenserver.policy.variables.readings import matches_somebody

__all__ = ["MAX_PATTERNS", "intersection", "is_exact", "pattern_of", "with_group"]

_Segments = tuple[Segment, ...]

MAX_PATTERNS = 1_000
"""Limit for the patterns of one intersection."""

_GROUP = Segment(SegmentKind.GROUP, "${group}")
_OTHERS_GROUP = Segment(SegmentKind.GROUP, "${group} of the other pattern")
_SAME_GROUP = Segment(SegmentKind.GROUP, "${group} of both patterns")
_ANY_WORD = Segment(SegmentKind.GLOB, "*", ("", ""))


def intersection(one: Pattern, other: Pattern, budget: Budget | None = None) -> tuple[Pattern, ...]:
    """Patterns that together cover all names that both cover, none of them contained in the others.

    They are exact unless two globs meet in one segment and neither contains the other: then one of them represents
    both. A variable and a literal become the literal. Each pattern may mean another group by `${group}`, unless both
    have it at one place; no pattern says that, so a `*` represents the group of the second one.

    Raises:
        TooComplex: more than `MAX_PATTERNS` are needed, or not decided within the budget (None: that of one command).
    """
    budget = budget or command_budget()
    if is_partial(one) or is_partial(other):
        return _least(_partial(one, other), budget)
    others = tuple(_OTHERS_GROUP if segment.kind is SegmentKind.GROUP else segment for segment in segments_of(other))
    common = {_with_one_group(segments) for segments in _common(segments_of(one), others)}
    return _least([pattern_of(segments) for segments in sorted(common, key=_order)], budget)


def _least(found: Sequence[Pattern], budget: Budget) -> tuple[Pattern, ...]:
    """The patterns without those that the others cover."""
    kept: list[Pattern] = []
    for place, pattern in enumerate(found):
        if not contains([*kept, *found[place + 1 :]], pattern, budget.question()):
            kept.append(pattern)
    return tuple(kept)


def is_exact(one: Pattern, other: Pattern) -> bool:
    """Whether `intersection` of the two covers only names that both cover, which is certain without globs, if variables
    are whole segments, and if only one of them has `${group}`.
    """
    if is_partial(one) or is_partial(other):
        return False
    segments = (*segments_of(one), *segments_of(other))
    have_groups = one.uses(SegmentKind.GROUP) and other.uses(SegmentKind.GROUP)
    return not have_groups and all(segment.kind is not SegmentKind.GLOB for segment in segments)


def with_group(pattern: Pattern, group: str) -> Pattern:
    """The pattern for members of `group`, whose name replaces `${group}`. For captures, see `filling.filled`."""
    return pattern_of(
        [
            plain(group.join(one.pieces or WHOLE)) if one.kind is SegmentKind.GROUP else one
            for one in segments_of(pattern)
        ]
    )


def _with_one_group(segments: _Segments) -> _Segments:
    """The segments with one meaning of `${group}`: that of the first pattern, if both have theirs."""
    groups = {segment for segment in segments if segment.kind is SegmentKind.GROUP}
    others = _ANY_WORD if groups == {_GROUP, _OTHERS_GROUP} else _GROUP
    named = {_OTHERS_GROUP: others, _SAME_GROUP: _GROUP}
    return tuple(named.get(segment, segment) for segment in segments)


def _partial(one: Pattern, other: Pattern) -> list[Pattern]:
    """The intersection where variables are parts of segments or of names; groups are those of one of the patterns."""
    second = segments_of(other)
    captures = one.captures if one.uses(SegmentKind.GROUP) else other.captures
    if one.uses(SegmentKind.GROUP):
        second = tuple(_any_group(segment) for segment in second)
    return [pattern_of(segments, captures) for segments in sorted(_common(segments_of(one), second), key=_order)]


def _any_group(segment: Segment) -> Segment:
    """The segment with a `*` for the variable, if it is a group's."""
    if segment.kind is not SegmentKind.GROUP:
        return segment
    return plain("*".join(segment.pieces or WHOLE).replace("**", "*"))


def _order(segments: _Segments) -> tuple[int, list[str]]:
    return len(segments), [segment.text for segment in segments]


@lru_cache(maxsize=4096)
def _common(one: _Segments, other: _Segments) -> frozenset[_Segments]:
    found = _spelled(one, other)
    if len(found) > MAX_PATTERNS:
        raise TooComplex(
            f"not decided: the intersection of two patterns takes more than {MAX_PATTERNS:,} patterns; "
            "fix: use fewer ** in one pattern"
        )
    return found


def _spelled(one: _Segments, other: _Segments) -> frozenset[_Segments]:
    if not one or not other:
        return frozenset({()}) if one == other else frozenset()
    first, second = one[0], other[0]
    if first.kind is SegmentKind.MANY and second.kind is SegmentKind.MANY:
        tails = _common(one[1:], other[1:]) | _common(one, other[1:]) | _common(one[1:], other)
        return frozenset((first, *tail) for tail in tails)
    if first.kind is SegmentKind.MANY:
        return frozenset((second, *tail) for tail in _common(one[1:], other[1:]) | _common(one, other[1:]))
    if second.kind is SegmentKind.MANY:
        return _common(other, one)
    both = _both(first, second)
    return frozenset() if both is None else frozenset((both, *tail) for tail in _common(one[1:], other[1:]))


def _both(one: Segment, other: Segment) -> Segment | None:
    """The intersection of two segments other than `**`; None if it is empty."""
    if any(segment.pieces and segment.kind in VARIABLES for segment in (one, other)):
        return _both_with_a_part(one, other)
    for first, second in ((one, other), (other, one)):
        if first.kind is SegmentKind.LITERAL:
            if second.kind is SegmentKind.LITERAL:
                return first if first.text == second.text else None
            if second.kind is SegmentKind.GLOB:
                return first if fits(second, first.text) else None
            return first
    if one.kind is other.kind is SegmentKind.GROUP:
        return one if one == other else _SAME_GROUP
    for first, second in ((one, other), (other, one)):
        if first.kind in VARIABLES:
            return first
        if contains([pattern_of([second])], pattern_of([first])):
            return first
    return one


def _both_with_a_part(one: Segment, other: Segment) -> Segment | None:
    """The intersection of two segments, of which one has a variable as a part: that one, or a literal."""
    first, second = (widened(pattern_of([segment])) for segment in (one, other))
    if overlaps(first, second) is None:
        return None
    for literal, variable in ((one, other), (other, one)):
        if literal.kind is SegmentKind.LITERAL:
            return literal if matches_somebody(pattern_of([variable]), [literal.text]) else None
    return one if one.pieces and one.kind in VARIABLES else other
