"""States of the product automaton: each pattern's position after a prefix of a name, and the values bound so far.

The values are those of `${user}` and `${group}`. States and bindings are interned, so that everything computed for one
of them is reused whenever the search reaches it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice

from tokenserver.patterns import Pattern, Segment, SegmentKind, matches
from tokenserver.policy.budget import Budget

Binding = tuple[bool, bool]
"""Whether a word is the user's name, and whether it is the name of one of the user's groups."""

Position = tuple[int, int, str, str]
"""A position in a pattern: the pattern, the next of its segments, and the values of variables that it repeats."""

Positions = frozenset[Position]

UNREACHABLE = 1 << 30
"""More characters than any name has."""

_VARIABLES = {SegmentKind.USER, SegmentKind.GROUP}


class Bindings:
    """The user, and the words whose binding was chosen during the search."""

    __slots__ = ("by_word", "chosen", "group_count", "successors", "user")

    def __init__(self, user: str, chosen: frozenset[tuple[str, Binding]]) -> None:
        self.user = user
        self.chosen = chosen
        self.by_word = dict(chosen)
        self.group_count = sum(binding[1] for _, binding in chosen)
        self.successors: dict[tuple[str, bool], list[tuple[Binding, Bindings]]] = {}
        """Cache of `ProductSearch`: the possible bindings of a word, each with the bindings that result."""


class BindingsTable:
    """All bindings of one search, each a single object."""

    def __init__(self) -> None:
        self._interned: dict[tuple[str, frozenset[tuple[str, Binding]]], Bindings] = {}

    def intern(self, user: str = "", chosen: frozenset[tuple[str, Binding]] = frozenset()) -> Bindings:
        """The single object for this user and these choices."""
        key = (user, chosen)
        bindings = self._interned.get(key)
        if bindings is None:
            bindings = self._interned[key] = Bindings(user, chosen)
        return bindings

    def clear(self) -> None:
        """Break the reference cycles, which would otherwise be left to the garbage collector."""
        for bindings in self._interned.values():
            bindings.successors.clear()


class PositionSet:
    """Positions with their transitions: literal segments by text, and the segments that match more than one word.

    The transitions are available after `expand`: most sets are reached, but never left.
    """

    __slots__ = ("has_variable", "is_expanded", "literals", "loose", "positions", "remembered")

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.is_expanded = False
        self.literals: dict[str, list[Position]] = {}
        self.loose: list[tuple[Position, Segment, bool]] = []
        self.has_variable = False
        self.remembered: set[str] = set()
        """Values that a repeated variable must take again: no class of words has to contain them."""

    def expand(self, segments: Sequence[Sequence[Segment]]) -> None:
        """Compute the transitions. `segments` are those of all patterns."""
        if self.is_expanded:
            return
        self.is_expanded = True
        for position in self.positions:
            place, at, user, group = position
            if at == len(segments[place]):
                continue
            segment = segments[place][at]
            if segment.kind is SegmentKind.LITERAL:
                self.literals.setdefault(segment.text, []).append((place, at + 1, user, group))
            elif segment.kind in _VARIABLES:
                self.has_variable = True
                self.remembered |= {word for word in (user, group) if word}
                # Only a variable that the pattern repeats needs its value later.
                is_repeated = sum(one.kind is segment.kind for one in segments[place]) > 1
                self.loose.append((position, segment, is_repeated))
            else:
                self.loose.append((position, segment, False))

    def after(self, word: str, binding: Binding) -> Positions:
        """The positions after one more segment, without those of patterns that it does not match."""
        after = set(self.literals.get(word, ()))
        for position, segment, is_repeated in self.loose:
            place, at, user, group = position
            if segment.kind is SegmentKind.MANY:
                after |= {position, (place, at + 1, user, group)}
            elif segment.kind is SegmentKind.USER:
                if binding[0] and user in ("", word):
                    after.add((place, at + 1, word if is_repeated else "", group))
            elif segment.kind is SegmentKind.GROUP:
                if binding[1] and group in ("", word):
                    after.add((place, at + 1, user, word if is_repeated else ""))
            elif fits(segment, word):
                after.add((place, at + 1, user, group))
        return frozenset(after)


class ProductState:
    """A state of the product: the positions in each required pattern, and last those in all other patterns.

    `needed` is a lower bound for the number of characters that complete a name.
    """

    __slots__ = ("choices", "needed", "sets", "successors")

    def __init__(self, sets: tuple[PositionSet, ...], needed: int) -> None:
        self.sets = sets
        self.needed = needed
        self.successors: dict[tuple[str, Binding], ProductState] = {}
        """Cache of `ProductAutomaton`: the state after a word with a binding."""
        self.choices: dict[bool, tuple[bool, dict[str, bool]]] = {}
        """Cache of `ProductSearch`: the words that can follow, for the first segment and for later ones."""


_DEAD = ProductState((), UNREACHABLE)


class ProductAutomaton:
    """The product automaton of patterns with these segments. Its states are computed on demand, within `budget`.

    `lengths` are, for each required pattern, the characters that a name needs at least from each of its segments on.
    `alternatives` are the sizes of groups of required patterns, of each of which one is enough (none: all are needed).
    """

    def __init__(
        self,
        segments: Sequence[Sequence[Segment]],
        lengths: Sequence[Sequence[int]],
        budget: Budget,
        alternatives: Sequence[int] = (),
    ) -> None:
        self._budget = budget
        self._alternatives = alternatives or (1,) * len(lengths)
        self._segments = segments
        self._lengths = lengths
        self._sets: dict[Positions, PositionSet] = {}
        self._states: dict[tuple[PositionSet, ...], ProductState] = {}

    def start(self) -> ProductState:
        """The state before the first segment."""
        starts = iter([(place, 0, "", "") for place in range(len(self._segments))])
        required = [frozenset(islice(starts, size)) for size in self._alternatives]
        return self._intern([*required, frozenset(starts)])

    def expanded(self, state: ProductState) -> tuple[PositionSet, ...]:
        """The position sets of a state, with their transitions."""
        for positions in state.sets:
            positions.expand(self._segments)
        return state.sets

    def after(self, state: ProductState, word: str, binding: Binding) -> ProductState:
        """The state after one more segment of an expanded `state`; a dead one if a required pattern does not match.

        Raises:
            TooComplex: the budget is spent.
        """
        found = state.successors.get((word, binding))
        if found is None:
            self._budget.spend(sum(len(positions.loose) for positions in state.sets) // 8)
            required = [positions.after(word, binding) for positions in state.sets[:-1]]
            found = self._intern([*required, state.sets[-1].after(word, binding)]) if all(required) else _DEAD
            state.successors[word, binding] = found
        return found

    def clear(self) -> None:
        """Break the reference cycles, which would otherwise be left to the garbage collector."""
        for state in self._states.values():
            state.successors.clear()

    def _intern(self, position_sets: Iterable[Positions]) -> ProductState:
        sets = tuple(map(self._set, position_sets))
        state = self._states.get(sets)
        if state is None:
            ends = (min([self._lengths[place][at] for place, at, _, _ in one.positions]) for one in sets[:-1])
            state = self._states[sets] = ProductState(sets, max(ends))
        return state

    def _set(self, positions: Positions) -> PositionSet:
        found = self._sets.get(positions)
        if found is None:
            found = self._sets[positions] = PositionSet(positions)
        return found


@lru_cache(maxsize=65536)
def fits(glob: Segment, word: str) -> bool:
    """Whether the glob matches this segment."""
    return matches(Pattern(glob.text, "", 0, (glob,)), [word], None, ())
