"""The walk over all names that patterns tell apart: any number of patterns side by side, segment by segment.

At every step one word is tried for each class of segments that the patterns tell apart. A word that nobody has named
has a part that never changes: nobody's, the user's, or a group's. A word that somebody may have named gets its part
when it first stands where a variable can take it, and keeps it to the end of the name. So every name stands for one
client, and no pattern has to remember whom it has met.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, product

from tokenserver.policy.analysis.product_states import NEVER, Cast, Casts, Front, Part, PatternRow, Rows, State
from tokenserver.policy.analysis.segment_automata import shortest_hosts, shortest_words
from tokenserver.policy.budget import Budget
from tokenserver.policy.index import prefixes
from tokenserver.policy.patterns import Pattern, Segment, SegmentKind, matches_below
from tokenserver.scopes import MAX_NAME_LENGTH, is_path_component


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """The pattern at `place` covers the name if `${user}` is `user` and `${group}` is `group` (empty: not used)."""

    place: int
    user: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A name, how the required patterns cover it, and how the others do. A pattern that is not there does not."""

    name: str
    required: frozenset[Match]
    others: frozenset[Match]


_NOBODYS: Part = (False, False)
_ANY = ("",)

_Node = tuple[bool, Cast, PatternRow]
"""Where a walk can be: whether what it has is a whole name, who was met, and what comes next."""


class Walk:
    """One walk; `meetings` is its result.

    With `are_together`, all patterns are about one and the same client, and a `Meeting` has every way in which they
    cover its name; without, each is about a client of its own, and a meeting tells only that they cover it.
    """

    def __init__(
        self,
        required: Sequence[Pattern],
        others: Sequence[Pattern],
        named: Collection[str] = (),
        taken: Collection[str] = (),
        *,
        are_together: bool,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or Budget()
        self._patterns = [*required, *others]
        self._required = range(len(required))
        self._segments = [segments_of(pattern) for pattern in self._patterns]
        self._rows = Rows(self._segments, [*map(shortest_ends, self._segments[: len(required)])], self._budget)
        self._casts = Casts()
        self._are_together = are_together
        every = {segment for segments in self._segments for segment in segments}
        kinds = {segment.kind for segment in every}
        texts = {kind: {segment.text for segment in every if segment.kind is kind} for kind in kinds}
        globs = texts.get(SegmentKind.GLOB, set())
        self._named = [name for name in named if is_path_component(name)]
        self._literals = sorted(filter(is_path_component, texts.get(SegmentKind.LITERAL, set())))
        self._has_user = SegmentKind.USER in kinds
        using_group = [pattern for pattern in self._patterns if pattern.uses(SegmentKind.GROUP)]
        # Each pattern that wants a group needs one; more are never needed, since all other segments can be nobody's.
        self._most_groups = len(using_group)
        parts = [_NOBODYS]
        if are_together:
            repeats_group = any(pattern.repeats_group for pattern in using_group)
            parts += [(True, False)] * self._has_user
            parts += [(False, True)] * (self._most_groups if repeats_group else min(1, self._most_groups))
            parts += [(True, True)] * (self._has_user and self._most_groups > 0)
        known = texts.get(SegmentKind.LITERAL, set()).union(named, taken)
        # Nothing but a first segment has a colon.
        classes = shortest_words({glob for glob in globs if ":" not in glob}, known, len(parts), self._budget)
        self._parts = dict(entry for words in classes for entry in _cast(words, known, parts))
        self._nobodys = [word for word, part in self._parts.items() if part in (None, _NOBODYS)]
        self._hosts = shortest_hosts(globs, self._budget)
        self._with_variables: dict[str, list[tuple[int, bool, bool]]] = {}
        """By literal beginning: the places of patterns, and whether they use the user's name and a group's."""
        for place, pattern in enumerate(self._patterns):
            uses_user, uses_group = pattern.uses(SegmentKind.USER), pattern.uses(SegmentKind.GROUP)
            if uses_user or uses_group:
                self._with_variables.setdefault(pattern.prefix, []).append((place, uses_user, uses_group))

    def meetings(self) -> Iterator[Meeting]:
        """Each once, shortest names first.

        Raises:
            TooComplex: the budget does not suffice for all of them.
        """
        try:
            yield from self._search()
        finally:
            self._rows.forget()
            self._casts.forget()

    def _search(self) -> Iterator[Meeting]:
        """What the required patterns still need is looked ahead for, as in the algorithm A*."""
        order = count()  # so that the heap never compares nodes
        starts = [(place, 0, "", "") for place in range(len(self._segments))]
        required, others = starts[: len(self._required)], starts[len(self._required) :]
        row = self._rows.of([*(frozenset({start}) for start in required), frozenset(others)])
        first: _Node = (False, self._casts.of(), row)
        pending = [(0, next(order), "", first)]
        reached = {first: 0}
        told: set[tuple[Cast, tuple[frozenset[Match], ...]]] = set()
        while pending:
            reach, _, name, node = heappop(pending)
            if reach > reached[node]:
                continue  # a shorter name has led here meanwhile
            is_whole, cast, row = node
            if is_whole:  # nothing, or a host alone, is no name
                ends = tuple(self._ends(front.state) for front in row.fronts)
                if all(ends[:-1]) and (cast, ends) not in told:
                    told.add((cast, ends))
                    yield self._meeting(name, ends)
            begun = len(name) + bool(name)
            for word, part, following in self._steps(row, cast, is_first=not name):
                self._budget.spend()
                after = self._rows.after(row, word, part)
                length = begun + len(word) + after.needed
                reaches = (":" not in word, following, after)
                if length <= MAX_NAME_LENGTH and length < reached.get(reaches, NEVER):
                    reached[reaches] = length
                    heappush(pending, (length, next(order), f"{name}/{word}" if name else word, reaches))

    def _ends(self, state: State) -> frozenset[Match]:
        return frozenset(
            Match(place, user, group) for place, at, user, group in state if at == len(self._segments[place])
        )

    def _meeting(self, name: str, ends: Sequence[frozenset[Match]]) -> Meeting:
        matched = frozenset[Match]().union(*ends)
        if self._are_together and self._with_variables:
            segments = name.split("/")
            words = [word for word in dict.fromkeys(segments) if ":" not in word]
            near = [entry for prefix in prefixes(segments) for entry in self._with_variables.get(prefix, ())]
            places = {place for place, _, _ in near}
            exact = {match for match in matched if match.place not in places}
            for place, uses_user, uses_group in near:
                # Every user and group for whom the pattern covers the name.
                self._budget.spend((len(words) if uses_user else 1) * (len(words) if uses_group else 1))
                for user, group in product(words if uses_user else _ANY, words if uses_group else _ANY):
                    if matches_below(self._patterns[place], segments, user, (group,)):
                        exact.add(Match(place, user, group))
            matched = frozenset(exact)
        required = frozenset(match for match in matched if match.place in self._required)
        return Meeting(name, required, matched - required)

    def _steps(self, row: PatternRow, cast: Cast, *, is_first: bool) -> Iterator[tuple[str, Part, Cast]]:
        """A word for everything that can come next, with the part that it plays."""
        choice = row.choices.get(is_first)
        if choice is None:
            choice = row.choices[is_first] = self._choice(self._rows.opened(row), is_first=is_first)
        meets_variable, words = choice
        if meets_variable:  # whoever was met before may come again
            words = words | {word: True for word in (cast.user, *cast.parts) if word}
        for word, is_wanted in words.items():
            if not meets_variable or ":" in word:
                yield word, _NOBODYS, cast
            elif not self._are_together:
                yield word, (True, True), cast
            else:
                played = cast.played.get((word, is_wanted))
                if played is None:
                    played = cast.played[word, is_wanted] = [*self._played(word, cast, is_wanted)]
                for part, following in played:
                    yield word, part, following

    def _choice(self, fronts: Sequence[Front], *, is_first: bool) -> tuple[bool, dict[str, bool]]:
        """Whether a variable can take what comes next, and the words to try as `_words` has them."""
        meets_variable = any(front.meets_variable for front in fronts)
        words = dict(self._words(fronts, meets_variable, is_first=is_first))
        if meets_variable:  # whoever is met here may be asked for by name further on
            words |= dict.fromkeys(self._literals, True)
        return meets_variable, words

    def _words(self, fronts: Sequence[Front], meets_variable: bool, *, is_first: bool) -> Mapping[str, bool]:
        """The words to try, and whether a pattern wants just this one. What a required one wants leaves no choice."""
        for front in fronts[:-1]:
            if not front.loose:
                return {word: True for word in sorted(front.literals) if is_first or ":" not in word}
        words = dict.fromkeys(self._parts if meets_variable else self._nobodys, False)
        if is_first:
            words |= dict.fromkeys(self._hosts, False)
        if meets_variable:
            words |= dict.fromkeys(self._named, False)
        for front in fronts:
            words |= {word: True for word in sorted(front.literals) if is_first or ":" not in word}
            words |= dict.fromkeys(front.remembered, True)
        return words

    def _played(self, word: str, cast: Cast, is_wanted: bool) -> Iterator[tuple[Part, Cast]]:
        """The parts that a word can play where a variable can take it."""
        fixed = self._parts.get(word)
        if fixed is not None:
            if not fixed[0] or cast.user in ("", word):
                yield fixed, self._casts.of(word, cast.chosen) if fixed[0] else cast
            return
        known = cast.parts.get(word)
        if known is not None:
            yield known, cast
            return
        as_user = (True, False) if self._has_user and not cast.user else (False,)
        as_group = (True, False) if cast.groups < self._most_groups else (False,)
        for part in product(as_user, as_group):
            # A word that is nobody's is among the others, unless just this word is wanted or there is no other one.
            if part != _NOBODYS or is_wanted or word in self._parts:
                yield part, self._casts.of(word if part[0] else cast.user, cast.chosen | {(word, part)})


def segments_of(pattern: Pattern) -> tuple[Segment, ...]:
    """All segments of a pattern, its literal beginning included."""
    prefix = pattern.prefix.split("/") if pattern.depth else []
    return (*(Segment(SegmentKind.LITERAL, text) for text in prefix), *pattern.rest)


def _cast(words: Sequence[str], known: Collection[str], parts: Sequence[Part]) -> Iterable[tuple[str, Part | None]]:
    """The words of one class with their parts; None where it has to be chosen on the way.

    That is so for all of a class that has too few words, and for known words that are shorter than others.
    """
    free = [word for word in words if word not in known]
    if len(free) < len(parts):
        return [(word, None) for word in words]
    shorter = [word for word in words if word in known and len(word) < len(free[0])]
    return [*zip(free, parts, strict=False), *((word, None) for word in shorter)]


def shortest_ends(segments: Sequence[Segment]) -> list[int]:
    """How many characters a name has at least from each segment on, with the slashes; nothing after the last one."""
    lengths = [0]
    for segment in reversed(segments):
        shortest = len(segment.text) if segment.kind is SegmentKind.LITERAL else 1
        lengths.append(lengths[-1] + shortest + 1)
    return lengths[::-1]
