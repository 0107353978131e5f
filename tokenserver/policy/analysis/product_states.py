"""Where patterns stand in the middle of a name, and who has been met on the way there: what a walk goes over.

Each of both is there once in a walk, so that what was found out about it serves each time that it is reached again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tokenserver.policy.budget import Budget
from tokenserver.policy.patterns import Pattern, Segment, SegmentKind, matches

Part = tuple[bool, bool]
"""Whether a word is the user's name, and whether it is the name of a group of the user's."""

Position = tuple[int, int, str, str]
"""Where a pattern stands: which one, before which of its segments, and what variables that it repeats have taken."""

State = frozenset[Position]

NEVER = 1 << 30
"""More characters than any name has."""

_VARIABLES = {SegmentKind.USER, SegmentKind.GROUP}


class Cast:
    """Who has been met on the way: the user, and the words whose parts had to be chosen."""

    __slots__ = ("chosen", "groups", "parts", "played", "user")

    def __init__(self, user: str, chosen: frozenset[tuple[str, Part]]) -> None:
        self.user = user
        self.chosen = chosen
        self.parts = dict(chosen)
        self.groups = sum(part[1] for _, part in chosen)
        self.played: dict[tuple[str, bool], list[tuple[Part, Cast]]] = {}
        """What `Walk` has found out: the parts that a word can play here, and the cast from then on."""


class Casts:
    """All casts of a walk."""

    def __init__(self) -> None:
        self._casts: dict[tuple[str, frozenset[tuple[str, Part]]], Cast] = {}

    def of(self, user: str = "", chosen: frozenset[tuple[str, Part]] = frozenset()) -> Cast:
        """The one cast with this user and these parts."""
        key = (user, chosen)
        cast = self._casts.get(key)
        if cast is None:
            cast = self._casts[key] = Cast(user, chosen)
        return cast

    def forget(self) -> None:
        """Let go of what leads in circles, which would be left for the garbage collector."""
        for cast in self._casts.values():
            cast.played.clear()


class Front:
    """What comes next in one state: the literal segments by their text, and those that take more than one word.

    Most are reached and never gone on from; so all of that is there only after `open`.
    """

    __slots__ = ("is_open", "literals", "loose", "meets_variable", "remembered", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.is_open = False
        self.literals: dict[str, list[Position]] = {}
        self.loose: list[tuple[Position, Segment, bool]] = []
        self.meets_variable = False
        self.remembered: set[str] = set()
        """Words that variables here have taken and that must come again: no class of words has to offer them."""

    def open(self, segments: Sequence[Sequence[Segment]]) -> None:
        """Find out what comes next. `segments` are those of all patterns."""
        if self.is_open:
            return
        self.is_open = True
        for position in self.state:
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

    def state_after(self, word: str, part: Part) -> State:
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


class PatternRow:
    """Fronts side by side: one for each required pattern, and last that of all others.

    `needed` is how many more characters a name has at least.
    """

    __slots__ = ("choices", "fronts", "moves", "needed")

    def __init__(self, fronts: tuple[Front, ...], needed: int) -> None:
        self.fronts = fronts
        self.needed = needed
        self.moves: dict[tuple[str, Part], PatternRow] = {}
        """What `Rows` has found out: the row after a word in a part."""
        self.choices: dict[bool, tuple[bool, dict[str, bool]]] = {}
        """What `Walk` has found out: what can come next, in the beginning of a name and later."""


_NOWHERE = PatternRow((), NEVER)


class Rows:
    """All rows of a walk over patterns with these segments.

    `lengths` are, for each required pattern, how many characters a name has at least from each of its segments on.
    What is found out counts against `budget`.
    """

    def __init__(self, segments: Sequence[Sequence[Segment]], lengths: Sequence[Sequence[int]], budget: Budget) -> None:
        self._budget = budget
        self._segments = segments
        self._lengths = lengths
        self._fronts: dict[State, Front] = {}
        self._rows: dict[tuple[Front, ...], PatternRow] = {}

    def of(self, states: Iterable[State]) -> PatternRow:
        """The one row of these states."""
        fronts = tuple(map(self._front, states))
        row = self._rows.get(fronts)
        if row is None:
            ends = (min([self._lengths[place][at] for place, at, _, _ in front.state]) for front in fronts[:-1])
            row = self._rows[fronts] = PatternRow(fronts, max(ends))
        return row

    def opened(self, row: PatternRow) -> tuple[Front, ...]:
        """The fronts of a row from which the walk goes on."""
        for front in row.fronts:
            front.open(self._segments)
        return row.fronts

    def after(self, row: PatternRow, word: str, part: Part) -> PatternRow:
        """The row after one more segment, where `row` is opened; nowhere, where a required pattern cannot go on."""
        found = row.moves.get((word, part))
        if found is None:
            self._budget.spend(sum(len(front.loose) for front in row.fronts) // 8)
            required = [front.state_after(word, part) for front in row.fronts[:-1]]
            found = self.of([*required, row.fronts[-1].state_after(word, part)]) if all(required) else _NOWHERE
            row.moves[word, part] = found
        return found

    def forget(self) -> None:
        """Let go of what leads in circles, which would be left for the garbage collector."""
        for row in self._rows.values():
            row.moves.clear()

    def _front(self, state: State) -> Front:
        front = self._fronts.get(state)
        if front is None:
            front = self._fronts[state] = Front(state)
        return front


@lru_cache(maxsize=65536)
def fits(glob: Segment, word: str) -> bool:
    """Whether the glob takes this segment."""
    return matches(Pattern(glob.text, "", 0, (glob,)), [word], None, ())
