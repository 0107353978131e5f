"""Pattern index: which of many patterns may cover a name that another pattern covers, without trying every pair.

A pattern has fixed segments before its first `**` and after its last one. Two patterns with different literals at the
same place, counted from either end, never cover the same name, wherever their first wildcard is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tokenserver.patterns import Pattern, Segment, SegmentKind
from tokenserver.policy.analysis.product_search import segments_of
from tokenserver.policy.analysis.product_states import fits

_Found = TypeVar("_Found")

INDEXED_PLACES = 8
"""Limit for the places at each end of a pattern that are indexed; segments further inside are only compared."""

MANY_PATTERNS = 64
"""From this number of patterns with one literal at one place on, they are kept as bits."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """The segments of a pattern before its first `**`, and those after its last one, from the end of the name.

    Without `**`, both are all segments. `least` is the number of segments that a name has at least.
    """

    head: tuple[Segment, ...]
    tail: tuple[Segment, ...]
    least: int
    is_fixed: bool

    @classmethod
    def of(cls, pattern: Pattern) -> _Ends:
        segments = segments_of(pattern)
        many = [place for place, segment in enumerate(segments) if segment.kind is SegmentKind.MANY]
        if not many:
            return cls(segments, segments[::-1], len(segments), is_fixed=True)
        return cls(segments[: many[0]], segments[: many[-1] : -1], len(segments), is_fixed=False)

    def may_meet(self, other: _Ends) -> bool:
        """Whether the ends and lengths of two patterns allow a name that both cover."""
        return (
            (not self.is_fixed or self.least >= other.least)
            and (not other.is_fixed or other.least >= self.least)
            and all(map(_may_equal, self.head, other.head))
            and all(map(_may_equal, self.tail, other.tail))
        )


class PatternIndex:
    """The index over `patterns`. A pattern is known by its place among them."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = [_Ends.of(pattern) for pattern in patterns]
        self._every = (1 << len(self._patterns)) - 1
        self._heads = _Side([(one.head, one.is_fixed) for one in self._patterns])
        self._tails = _Side([(one.tail, one.is_fixed) for one in self._patterns])

    def meeting(self, *asked: Pattern) -> Iterator[int]:
        """The patterns that may cover a name that all `asked` patterns cover, in order; all others never do."""
        ends = [_Ends.of(pattern) for pattern in asked]
        left = self._every
        for one in ends:
            left = self._tails.fitting(one.tail, self._heads.fitting(one.head, left))
        return (number for number in _numbers(left) if all(map(self._patterns[number].may_meet, ends)))


def widest(
    found: Sequence[_Found], pattern: Callable[[_Found], Pattern], covers: Callable[[_Found, _Found], bool]
) -> list[_Found]:
    """Those that no other one covers, of several alike the first. What one covers meets it in its `pattern`."""
    index = PatternIndex([pattern(one) for one in found])
    kept: dict[int, _Found] = {}
    for number, one in enumerate(found):
        near = [place for place in index.meeting(pattern(one)) if place in kept]
        if not any(covers(kept[place], one) for place in near):
            for place in near:
                if covers(one, kept[place]):
                    del kept[place]
            kept[number] = one
    return [*kept.values()]


class _Side:
    """One end of all patterns: by place, the patterns with each literal there, and those that are open there (bits)."""

    def __init__(self, patterns: Sequence[tuple[Sequence[Segment], bool]]) -> None:
        self._literals: list[dict[str, list[int]]] = [{} for _ in range(INDEXED_PLACES)]
        is_open = [bytearray(b"\xff" * (len(patterns) // 8 + 1)) for _ in range(INDEXED_PLACES)]
        for number, (segments, is_fixed) in enumerate(patterns):
            rest = range(len(segments), INDEXED_PLACES) if is_fixed else ()  # its names have no such segments
            for place, segment in enumerate(segments[:INDEXED_PLACES]):
                if segment.kind is SegmentKind.LITERAL:
                    self._literals[place].setdefault(segment.text, []).append(number)
                    is_open[place][number >> 3] &= ~(1 << (number & 7))
            for place in rest:
                is_open[place][number >> 3] &= ~(1 << (number & 7))
        self._open = [int.from_bytes(bits, "little") for bits in is_open]
        self._frequent = [
            {text: _bits(numbers) for text, numbers in texts.items() if len(numbers) >= MANY_PATTERNS}
            for texts in self._literals
        ]

    def fitting(self, segments: Sequence[Segment], left: int) -> int:
        """Those of the patterns `left` whose literals are not different from these segments'."""
        for place, segment in enumerate(segments[:INDEXED_PLACES]):
            if segment.kind is SegmentKind.LITERAL:
                same = self._frequent[place].get(segment.text)
                if same is None:
                    same = _bits(self._literals[place].get(segment.text, ()))
                left &= same | self._open[place]
        return left


def _bits(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _numbers(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, in order."""
    text = f"{bits:b}"[::-1]
    number = text.find("1")
    while number >= 0:
        yield number
        number = text.find("1", number + 1)


def _may_equal(one: Segment, other: Segment) -> bool:
    """Whether some word may match both; certain only if one of them is a literal.

    Segments with other texts before their first wildcard or variable, or after their last one, never match one word.
    """
    (start, end), (other_start, other_end) = _outer_texts(one), _outer_texts(other)
    if not (start.startswith(other_start) or other_start.startswith(start)):
        return False
    if not (end.endswith(other_end) or other_end.endswith(end)):
        return False
    if one.kind is SegmentKind.LITERAL:
        return fits(other, one.text) if other.kind is SegmentKind.GLOB else _is_same(one, other)
    return other.kind is not SegmentKind.LITERAL or one.kind is not SegmentKind.GLOB or fits(one, other.text)


def _outer_texts(segment: Segment) -> tuple[str, str]:
    """The literal texts with which each word of a segment begins and ends."""
    if segment.kind is SegmentKind.LITERAL:
        return segment.text, segment.text
    if not segment.pieces:
        return "", ""
    return segment.pieces[0].partition("*")[0], segment.pieces[-1].rpartition("*")[2]


def _is_same(literal: Segment, other: Segment) -> bool:
    return other.kind is not SegmentKind.LITERAL or other.text == literal.text
