"""The search for the shortest name that some patterns cover together, each for somebody, and that others do not.

States of the product automaton of all patterns are gone over shortest names first. What a name has left of the avoided
patterns is a set of positions in them, and a state with fewer positions is worth more than one with more: only the
antichain of least ones is followed. A pattern that covers whatever may come ends the search there.

Variables are taken for somebody's own name, which stands nowhere else. That leaves out no name that escapes, so that
"there is none" is certain; a name that is found is checked with its user and its group before it is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, product

from tokenserver.policy.analysis.product_search import segments_of, shortest_ends
from tokenserver.policy.analysis.product_states import fits
from tokenserver.policy.analysis.segment_automata import Grammar
from tokenserver.policy.analysis.shortest_names import Words, least_words
from tokenserver.policy.budget import Budget
from tokenserver.policy.patterns import Pattern, Segment, SegmentKind
from tokenserver.scopes import MAX_NAME_LENGTH

Label = tuple[bool, bool]
"""Whether a segment must be the user's name, and whether a group's."""

Path = tuple[tuple[str, Label], ...]
"""A name, segment by segment."""

_Entry = tuple[int, int, int, bool, tuple[int, ...], int, Path]
"""What a name has at least when it is whole, in characters, an order, what it has now, whether it is nothing or a host
alone, the segments at which the required patterns are, the positions of the avoided ones, and the name."""

_VARIABLES = {SegmentKind.USER: (True, False), SegmentKind.GROUP: (False, True)}
_NOBODYS: Label = (False, False)


@dataclass(frozen=True, slots=True)
class _Open:
    """What the avoided patterns can do next in one set of positions: bits of the positions that follow."""

    many: int
    by_text: dict[str, int]
    user: int
    group: int

    def after(self, taken: frozenset[str], label: Label) -> int:
        found = self.many
        for text in taken:
            found |= self.by_text[text]
        return found | (self.user if label[0] else 0) | (self.group if label[1] else 0)


class _Avoided:
    """The positions of all avoided patterns in a row, as bits. The last one of each pattern is its end."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._segments: dict[int, Segment] = {}
        self.start = self.ends = self._last_many = place = 0
        for pattern in patterns:
            segments = segments_of(pattern)
            self.start |= 1 << place
            for segment in segments:
                self._segments[1 << place] = segment
                place += 1
            if segments[-1].kind is SegmentKind.MANY:
                self._last_many |= 1 << place - 1
            self.ends |= 1 << place
            place += 1

    def is_everything(self, state: int, *, is_end: bool) -> bool:
        """Whether some pattern covers whatever follows; `is_end` tells that this may be nothing."""
        last = state & self._last_many
        return bool(last << 1 & state if is_end else last)

    def opened(self, state: int, budget: Budget) -> _Open:
        many = user = group = 0
        by_text: dict[str, int] = {}
        left = state & ~self.ends
        while left:
            budget.spend()
            bit = left & -left
            left ^= bit
            segment = self._segments[bit]
            if segment.kind is SegmentKind.MANY:
                many |= bit | bit << 1
            elif segment.kind is SegmentKind.USER:
                user |= bit << 1
            elif segment.kind is SegmentKind.GROUP:
                group |= bit << 1
            else:
                by_text[segment.text] = by_text.get(segment.text, 0) | bit << 1
        return _Open(many, by_text, user, group)


def shortest_path(required: Sequence[Pattern], avoided: Sequence[Pattern], budget: Budget) -> Path | None:
    """A shortest name that all `required` cover and none of `avoided` does; None if there is none.

    Segments where variables of `required` stand are labelled. They are spelled as if each label were for itself: that
    all segments of one label are the same, and no other segment is, is for the caller to see to.

    Raises:
        TooComplex: the budget does not suffice to find one, or to be certain that there is none.
    """
    needs = [segments_of(pattern) for pattern in required]
    lengths = [shortest_ends(segments) for segments in needs]
    others = _Avoided(avoided)
    order = count()  # so that the heap never compares what is behind it
    start = tuple(0 for _ in needs)
    pending: list[_Entry] = [(0, next(order), 0, True, start, others.start, ())]
    reached: dict[tuple[bool, tuple[int, ...]], list[int]] = {}
    while pending:
        _, _, length, is_host, places, state, path = heappop(pending)
        known_states = reached.setdefault((is_host, places), [])
        budget.spend(1 + len(known_states) // 8)
        if any(known & ~state == 0 for known in known_states):
            continue
        known_states.append(state)
        is_end = all(place == len(segments) for place, segments in zip(places, needs, strict=True))
        if is_end and not is_host and not state & others.ends:
            return path
        # Each required pattern goes on in one way: whatever takes part in a `**` stays in it, or leaves it.
        if any(place == len(segments) for place, segments in zip(places, needs, strict=True)):
            continue
        here = [segments[place] for place, segments in zip(places, needs, strict=True)]
        following = [
            *product(
                *(
                    (place, place + 1) if segment.kind is SegmentKind.MANY else (place + 1,)
                    for place, segment in zip(places, here, strict=True)
                )
            )
        ]
        opened = others.opened(state, budget)
        label = (any(one.kind is SegmentKind.USER for one in here), any(one.kind is SegmentKind.GROUP for one in here))
        for word, taken in _words(here, label, frozenset(opened.by_text), is_first=not path, budget=budget):
            after = opened.after(taken, label)
            begun = length + bool(path) + len(word)
            for next_places in following:
                budget.spend()
                reach = begun + max(ends[place] for ends, place in zip(lengths, next_places, strict=True))
                is_whole = all(place == len(segments) for place, segments in zip(next_places, needs, strict=True))
                if reach <= MAX_NAME_LENGTH and not others.is_everything(after, is_end=is_whole):
                    step = (word, label)
                    heappush(pending, (reach, next(order), begun, ":" in word, next_places, after, (*path, step)))
    return None


def _words(here: Sequence[Segment], label: Label, avoided: frozenset[str], *, is_first: bool, budget: Budget) -> Words:
    """The words to try where all segments of `here` must take one, each with the avoided globs and names it meets."""
    names = {segment.text for segment in here if segment.kind is SegmentKind.LITERAL}
    globs = [segment for segment in here if segment.kind is SegmentKind.GLOB]
    is_variable = label != _NOBODYS
    if names:
        name = min(names)
        is_host = ":" in name
        if len(names) > 1 or (is_host and (is_variable or not is_first)) or not all(fits(one, name) for one in globs):
            return ()
        budget.spend(len(avoided))
        return ((name, frozenset(text for text in avoided if _takes(text, name))),)
    required = frozenset(segment.text for segment in globs)
    fresh = label[0] + 2 * label[1]
    in_path = frozenset(text for text in avoided if ":" not in text)
    words: Words = ()
    if not any(":" in text for text in required):
        words = least_words(Grammar.COMPONENT, required, in_path, fresh, budget)
    if is_first and not is_variable:
        words += least_words(Grammar.HOST, required, avoided, fresh, budget)
    return words


def _takes(text: str, name: str) -> bool:
    if "*" not in text:
        return text == name
    return fits(Segment(SegmentKind.GLOB, text, tuple(text.split("*"))), name)
