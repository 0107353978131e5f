"""The walk over all names that patterns tell apart: any number of patterns side by side, segment by segment.

At every step one word is tried for each class of segments that the patterns tell apart. A word that nobody has named
has a part that never changes: nobody's, the user's, or a group's. A word that somebody may have named gets its part
when it first stands where a variable can take it, and keeps it to the end of the name. So every name stands for one
client, and no pattern has to remember whom it has met.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count, product

from tokenserver.policy.index import prefixes
from tokenserver.policy.patterns import Pattern, Segment, SegmentKind, matches
from tokenserver.policy.words import shortest_hosts, shortest_words
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


_VARIABLES = {SegmentKind.USER, SegmentKind.GROUP}

_Part = tuple[bool, bool]
"""Whether a word is the user's name, and whether it is the name of a group of the user's."""

_NOBODYS: _Part = (False, False)

# Where a pattern stands: which one, before which of its segments, and what variables that it repeats have taken.
_Position = tuple[int, int, str, str]
_State = frozenset[_Position]


@dataclass(frozen=True, slots=True)
class _Cast:
    """Who has been met on the way: the user, and the words whose parts had to be chosen."""

    user: str = ""
    chosen: frozenset[tuple[str, _Part]] = frozenset()


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
    ) -> None:
        self._patterns = [*required, *others]
        self._required = range(len(required))
        self._segments = [segments_of(pattern) for pattern in self._patterns]
        self._lengths = [_shortest_ends(segments) for segments in self._segments[: len(required)]]
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
        classes = shortest_words({glob for glob in globs if ":" not in glob}, known, len(parts))
        self._parts = dict(entry for words in classes for entry in _cast(words, known, parts))
        self._nobodys = [word for word, part in self._parts.items() if part in (None, _NOBODYS)]
        self._hosts = shortest_hosts(globs)
        self._with_variables: dict[str, list[int]] = {}
        for place, pattern in enumerate(self._patterns):
            if pattern.uses(SegmentKind.USER) or pattern.uses(SegmentKind.GROUP):
                self._with_variables.setdefault(pattern.prefix, []).append(place)

    def meetings(self) -> Iterator[Meeting]:
        """Shortest names first; what the required patterns still need is looked ahead for, as in the algorithm A*."""
        order = count()  # so that the heap never compares states
        start = tuple(frozenset({(place, 0, "", "")}) for place in self._required)
        rest = frozenset((place, 0, "", "") for place in range(len(start), len(self._segments)))
        pending: list[tuple[int, int, str, bool, _Cast, tuple[_State, ...]]] = [
            (0, next(order), "", False, _Cast(), (*start, rest))
        ]
        seen: set[tuple[bool, _Cast, tuple[_State, ...]]] = set()
        told: set[tuple[_Cast, tuple[frozenset[Match], ...]]] = set()
        while pending:
            _, _, name, is_whole, cast, states = heappop(pending)
            if (is_whole, cast, states) in seen:
                continue
            seen.add((is_whole, cast, states))
            if is_whole:  # nothing, or a host alone, is no name
                ends = tuple(self._ends(state) for state in states)
                if all(ends[:-1]) and (cast, ends) not in told:
                    told.add((cast, ends))
                    yield self._meeting(name, ends)
            fronts = [_Front(self._segments, state) for state in states]
            for word, part, following in self._steps(fronts, cast, is_first=not name):
                required = [front.after(word, part) for front in fronts[:-1]]
                if not all(required):
                    continue
                longer = f"{name}/{word}" if name else word
                length = len(longer) + max(map(self._still_needed, required))
                if length <= MAX_NAME_LENGTH:
                    after = (*required, fronts[-1].after(word, part))
                    heappush(pending, (length, next(order), longer, ":" not in word, following, after))

    def _still_needed(self, state: _State) -> int:
        """How many more characters a name has at least, for one pattern."""
        return min(self._lengths[place][at] for place, at, _, _ in state)

    def _ends(self, state: _State) -> frozenset[Match]:
        return frozenset(
            Match(place, user, group) for place, at, user, group in state if at == len(self._segments[place])
        )

    def _meeting(self, name: str, ends: Sequence[frozenset[Match]]) -> Meeting:
        matched = frozenset[Match]().union(*ends)
        if self._are_together and self._with_variables:
            segments = name.split("/")
            words = [word for word in dict.fromkeys(segments) if ":" not in word]
            near = {place for prefix in prefixes(segments) for place in self._with_variables.get(prefix, ())}
            without = (match for match in matched if match.place not in near)
            exact = (match for place in near for match in self._matches(place, segments, words))
            matched = frozenset((*without, *exact))
        required = frozenset(match for match in matched if match.place in self._required)
        return Meeting(name, required, matched - required)

    def _matches(self, place: int, segments: Sequence[str], words: Sequence[str]) -> Iterator[Match]:
        """Every user and group for whom a pattern with variables covers the name."""
        pattern = self._patterns[place]
        users = words if pattern.uses(SegmentKind.USER) else ("",)
        groups = words if pattern.uses(SegmentKind.GROUP) else ("",)
        for user, group in product(users, groups):
            if matches(pattern, segments, user, (group,)):
                yield Match(place, user, group)

    def _steps(self, fronts: Sequence[_Front], cast: _Cast, *, is_first: bool) -> Iterator[tuple[str, _Part, _Cast]]:
        """A word for everything that can come next, with the part that it plays."""
        meets_variable = any(front.meets_variable for front in fronts)
        words = dict(self._words(fronts, meets_variable, is_first=is_first))
        if meets_variable:
            # Whoever is met here may be asked for by name further on, or was met before.
            words |= dict.fromkeys(self._literals, True)
            words |= {word: True for word in (cast.user, *(word for word, _ in cast.chosen)) if word}
        for word, is_wanted in words.items():
            if not meets_variable or ":" in word:
                yield word, _NOBODYS, cast
            elif not self._are_together:
                yield word, (True, True), cast
            else:
                yield from ((word, part, following) for part, following in self._played(word, cast, is_wanted))

    def _words(self, fronts: Sequence[_Front], meets_variable: bool, *, is_first: bool) -> Mapping[str, bool]:
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

    def _played(self, word: str, cast: _Cast, is_wanted: bool) -> Iterator[tuple[_Part, _Cast]]:
        """The parts that a word can play where a variable can take it."""
        fixed = self._parts.get(word)
        if fixed is not None:
            if not fixed[0] or cast.user in ("", word):
                yield fixed, _Cast(word, cast.chosen) if fixed[0] else cast
            return
        known = dict(cast.chosen).get(word)
        if known is not None:
            yield known, cast
            return
        groups = sum(part[1] for _, part in cast.chosen)
        as_user = (True, False) if self._has_user and not cast.user else (False,)
        as_group = (True, False) if groups < self._most_groups else (False,)
        for part in product(as_user, as_group):
            # A word that is nobody's is among the others, unless just this word is wanted or there is no other one.
            if part != _NOBODYS or is_wanted or word in self._parts:
                yield part, _Cast(word if part[0] else cast.user, cast.chosen | {(word, part)})


class _Front:
    """What comes next in one state: the literal segments by their text, and those that take more than one word."""

    __slots__ = ("literals", "loose", "meets_variable", "remembered")

    def __init__(self, segments: Sequence[Sequence[Segment]], state: _State) -> None:
        self.literals: dict[str, list[_Position]] = {}
        self.loose: list[tuple[_Position, Segment, bool]] = []
        self.meets_variable = False
        self.remembered: set[str] = set()
        """Words that variables here have taken and that must come again: no class of words has to offer them."""
        for position in state:
            place, at, user, group = position
            if at == len(segments[place]):
                continue
            segment = segments[place][at]
            if segment.kind is SegmentKind.LITERAL:
                self.literals.setdefault(segment.text, []).append((place, at + 1, user, group))
            elif segment.kind in _VARIABLES:
                self.meets_variable = True
                self.remembered |= {word for word in (user, group) if word}
                # Only what must be the same again has to be remembered.
                is_repeated = sum(one.kind is segment.kind for one in segments[place]) > 1
                self.loose.append((position, segment, is_repeated))
            else:
                self.loose.append((position, segment, False))

    def after(self, word: str, part: _Part) -> _State:
        """Where the patterns stand after one more segment; those that it does not suit are gone."""
        after = set(self.literals.get(word, ()))
        for position, segment, is_repeated in self.loose:
            place, at, user, group = position
            if segment.kind is SegmentKind.MANY:
                after |= {position, (place, at + 1, user, group)}
            elif segment.kind is SegmentKind.USER:
                if part[0] and user in ("", word):
                    after.add((place, at + 1, word if is_repeated else "", group))
            elif segment.kind is SegmentKind.GROUP:
                if part[1] and group in ("", word):
                    after.add((place, at + 1, user, word if is_repeated else ""))
            elif fits(segment, word):
                after.add((place, at + 1, user, group))
        return frozenset(after)


def segments_of(pattern: Pattern) -> tuple[Segment, ...]:
    """All segments of a pattern, its literal beginning included."""
    prefix = pattern.prefix.split("/") if pattern.depth else []
    return (*(Segment(SegmentKind.LITERAL, text) for text in prefix), *pattern.rest)


@lru_cache(maxsize=65536)
def fits(glob: Segment, word: str) -> bool:
    """Whether the glob takes this segment."""
    return matches(Pattern(glob.text, "", 0, (glob,)), [word], None, ())


def _cast(words: Sequence[str], known: Collection[str], parts: Sequence[_Part]) -> Iterable[tuple[str, _Part | None]]:
    """The words of one class with their parts; None where it has to be chosen on the way.

    That is so for all of a class that has too few words, and for known words that are shorter than others.
    """
    free = [word for word in words if word not in known]
    if len(free) < len(parts):
        return [(word, None) for word in words]
    shorter = [word for word in words if word in known and len(word) < len(free[0])]
    return [*zip(free, parts, strict=False), *((word, None) for word in shorter)]


def _shortest_ends(segments: Sequence[Segment]) -> list[int]:
    """How many characters a name has at least from each segment on, with the slashes; nothing after the last one."""
    lengths = [0]
    for segment in reversed(segments):
        shortest = len(segment.text) if segment.kind is SegmentKind.LITERAL else 1
        lengths.append(lengths[-1] + shortest + 1)
    return lengths[::-1]
