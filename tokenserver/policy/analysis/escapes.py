"""Shortest escapes: the shortest name that all required patterns cover and no avoided pattern does.

The search visits states of the product automaton of all patterns, shortest names first. The avoided patterns are in a
set of positions, and a state is dominated by another one with fewer of them: only the antichain of minimal states is
followed. Where an avoided pattern covers every continuation, the search stops.

Variables are treated as the client's own name, which occurs nowhere else. That excludes no name that escapes, so "there
is none" is certain; a name that is found is checked with its user and its group before it is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, product

from tokenserver.patterns import Pattern, Segment, SegmentKind
from tokenserver.policy.analysis.product_search import segments_of, shortest_ends
from tokenserver.policy.analysis.product_states import fits
from tokenserver.policy.analysis.shortest_names import Words, least_words
from tokenserver.policy.budget import Budget
from tokenserver.policy.variables.segment_automata import Grammar
from tokenserver.scopes import MAX_NAME_LENGTH

Label = tuple[bool, bool]
"""Whether a segment must be the user's name, and whether a group's."""

Path = tuple[tuple[str, Label], ...]
"""A name, segment by segment."""

_Places = tuple[int, ...]
"""The next segment of each required pattern."""

_Pending = tuple[int, int, int, bool, _Places, int, Path]
"""A lower bound for the length of the whole name, a tie-breaker, the length so far, whether the name is empty or a host
alone, the places in the required patterns, the positions in the avoided ones, and the name."""

_VARIABLES = {SegmentKind.USER: (True, False), SegmentKind.GROUP: (False, True)}
_UNBOUND: Label = (False, False)


@dataclass(frozen=True, slots=True)
class _Transitions:
    """Transitions of the avoided patterns from one set of positions, as bits of the positions that follow."""

    many: int
    by_text: dict[str, int]
    user: int
    group: int

    def after(self, matching: frozenset[str], label: Label) -> int:
        found = self.many
        for text in matching:
            found |= self.by_text[text]
        return found | (self.user if label[0] else 0) | (self.group if label[1] else 0)


class _AvoidedPatterns:
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
        """Whether some pattern covers every continuation; with `is_end`, the name can also end here."""
        last = state & self._last_many
        return bool(last << 1 & state if is_end else last)

    def transitions(self, state: int, budget: Budget) -> _Transitions:
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
        return _Transitions(many, by_text, user, group)


class _RequiredPatterns:
    """The required patterns side by side. A state is the place in each of them."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._segments = [segments_of(pattern) for pattern in patterns]
        self._lengths = [shortest_ends(segments) for segments in self._segments]
        self._ends = tuple(map(len, self._segments))
        self.start: _Places = (0,) * len(patterns)

    def is_end(self, places: _Places) -> bool:
        """Whether a name can end here."""
        return places == self._ends

    def next_segments(self, places: _Places) -> list[Segment] | None:
        """The next segment of each pattern; None if one of them is at its end."""
        if any(place == end for place, end in zip(places, self._ends, strict=True)):
            return None
        return [segments[place] for place, segments in zip(places, self._segments, strict=True)]

    @staticmethod
    def following(places: _Places, here: Sequence[Segment]) -> list[_Places]:
        """The states after one more segment: each `**` of `here` can repeat or end, every other segment ends."""
        choices = (
            (place, place + 1) if segment.kind is SegmentKind.MANY else (place + 1,)
            for place, segment in zip(places, here, strict=True)
        )
        return [*product(*choices)]

    def needed(self, places: _Places) -> int:
        """A lower bound for the number of characters that complete the name."""
        return max(ends[place] for ends, place in zip(self._lengths, places, strict=True))


def shortest_path(required: Sequence[Pattern], avoided: Sequence[Pattern], budget: Budget) -> Path | None:
    """A shortest name that all `required` cover and none of `avoided` does; None if there is none.

    Segments matched by variables of `required` are labelled, and spelled as if each label were independent. The caller
    has to ensure that all segments with one label are equal, and that no other segment equals them.

    Raises:
        TooComplex: the budget is spent before a name was found or excluded.
    """
    needs, others = _RequiredPatterns(required), _AvoidedPatterns(avoided)
    order = count()  # so that the heap never compares what follows
    pending: list[_Pending] = [(0, next(order), 0, True, needs.start, others.start, ())]
    reached: dict[tuple[bool, _Places], list[int]] = {}
    while pending:
        _, _, length, is_host, places, state, path = heappop(pending)
        known_states = reached.setdefault((is_host, places), [])
        budget.spend(1 + len(known_states) // 8)
        if _is_dominated(state, known_states):
            continue
        known_states.append(state)
        if needs.is_end(places) and not is_host and not state & others.ends:
            return path
        here = needs.next_segments(places)
        if here is None:
            continue
        following = [(after, needs.needed(after), needs.is_end(after)) for after in needs.following(places, here)]
        for step, after_state in _steps(here, others.transitions(state, budget), is_first=not path, budget=budget):
            word = step[0]
            begun = length + bool(path) + len(word)
            for after, needed, is_end in following:
                budget.spend()
                reach = begun + needed
                if reach <= MAX_NAME_LENGTH and not others.is_everything(after_state, is_end=is_end):
                    heappush(pending, (reach, next(order), begun, ":" in word, after, after_state, (*path, step)))
    return None


def _is_dominated(state: int, known_states: Sequence[int]) -> bool:
    """Whether a known state has no other positions than this one."""
    return any(known & ~state == 0 for known in known_states)


def _steps(
    here: Sequence[Segment], transitions: _Transitions, *, is_first: bool, budget: Budget
) -> Iterator[tuple[tuple[str, Label], int]]:
    """Each labelled word that all segments of `here` match, with the state of the avoided patterns after it."""
    label = (any(one.kind is SegmentKind.USER for one in here), any(one.kind is SegmentKind.GROUP for one in here))
    for word, matching in _words(here, label, frozenset(transitions.by_text), is_first=is_first, budget=budget):
        yield (word, label), transitions.after(matching, label)


def _words(here: Sequence[Segment], label: Label, avoided: frozenset[str], *, is_first: bool, budget: Budget) -> Words:
    """The words that all segments of `here` match, each with the avoided globs and names that match it too."""
    names = {segment.text for segment in here if segment.kind is SegmentKind.LITERAL}
    globs = [segment for segment in here if segment.kind is SegmentKind.GLOB]
    can_be_host = is_first and label == _UNBOUND
    if names:
        return _literal(names, globs, avoided, can_be_host=can_be_host, budget=budget)
    required = frozenset(segment.text for segment in globs)
    fresh = label[0] + 2 * label[1]
    words: Words = ()
    if not any(":" in text for text in required):
        in_path = frozenset(text for text in avoided if ":" not in text)
        words = least_words(Grammar.COMPONENT, required, in_path, fresh, budget)
    if can_be_host:
        words += least_words(Grammar.HOST, required, avoided, fresh, budget)
    return words


def _literal(
    names: Collection[str], globs: Sequence[Segment], avoided: frozenset[str], *, can_be_host: bool, budget: Budget
) -> Words:
    """The only word that matches where a literal is required; none where `names` differ or a glob does not match."""
    name = min(names)
    if len(names) > 1 or (":" in name and not can_be_host) or not all(fits(glob, name) for glob in globs):
        return ()
    budget.spend(len(avoided))
    return ((name, frozenset(text for text in avoided if _matches_text(text, name))),)


def _matches_text(text: str, name: str) -> bool:
    if "*" not in text:
        return text == name
    return fits(Segment(SegmentKind.GLOB, text, tuple(text.split("*"))), name)
