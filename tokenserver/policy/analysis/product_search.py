"""Product search: every way in which patterns cover names, found by a shortest-first search of the product automaton.

Each step of the search appends one word to the name: one for each class of segments that the patterns distinguish. A
word that no rule can name has a fixed binding: nobody's name, the user's, or a group's. A word that a rule may name is
bound where a variable can first match it, and keeps that binding to the end of the name. So every name belongs to one
client, and no pattern has to remember which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, product

from tokenserver.patterns import Pattern, Segment, SegmentKind, matches_below
from tokenserver.policy.analysis.product_states import (
    UNREACHABLE,
    Binding,
    Bindings,
    BindingsTable,
    Positions,
    PositionSet,
    ProductAutomaton,
    ProductState,
)
from tokenserver.policy.budget import Budget
from tokenserver.policy.index import prefixes
from tokenserver.policy.variables.filling import segments_of
from tokenserver.policy.variables.segment_automata import shortest_hosts, shortest_words
from tokenserver.scopes import MAX_NAME_LENGTH, is_path_component

__all__ = ["CoveredName", "Match", "ProductSearch", "segments_of", "shortest_ends"]


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """The pattern at `place` covers the name if `${user}` is `user` and `${group}` is `group` (empty: not used)."""

    place: int
    user: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class CoveredName:
    """A name, with the matches of the required patterns and of the others; a pattern without one does not cover it."""

    name: str
    required: frozenset[Match]
    others: frozenset[Match]


_UNBOUND: Binding = (False, False)
_ANY = ("",)

_Configuration = tuple[bool, Bindings, ProductState]
"""Where the search can be: whether the prefix is a whole name, the bindings, and the state of the automaton."""


class ProductSearch:
    """One search; `covered_names` returns the result.

    With `are_together`, all patterns are about the same client, and a `CoveredName` has every match; without, each
    pattern has its own client, and a match only says that it covers the name. `alternatives` are the sizes of groups of
    `required`, in order, of each of which one pattern is enough (none: all are required).
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
        alternatives: Sequence[int] = (),
    ) -> None:
        self._budget = budget or Budget()
        self._patterns = [*required, *others]
        self._required = range(len(required))
        self._are_together = are_together
        self._segments = [segments_of(pattern) for pattern in self._patterns]
        lengths = [*map(shortest_ends, self._segments[: len(required)])]
        self._automaton = ProductAutomaton(self._segments, lengths, self._budget, alternatives)
        self._table = BindingsTable()
        every = {segment for segments in self._segments for segment in segments}
        globs, literals = (_texts(every, kind) for kind in (SegmentKind.GLOB, SegmentKind.LITERAL))
        self._named = [name for name in named if is_path_component(name)]
        self._literals = sorted(filter(is_path_component, literals))
        self._has_user = any(segment.kind is SegmentKind.USER for segment in every)
        # Each pattern with `${group}` needs one group at most; all other segments can be nobody's name.
        self._most_groups = sum(pattern.uses(SegmentKind.GROUP) for pattern in self._patterns)
        self._fixed = self._fixed_bindings(globs, literals.union(named, taken))
        self._unbound = [word for word, binding in self._fixed.items() if binding in (None, _UNBOUND)]
        self._hosts = shortest_hosts(globs, self._budget)
        self._with_variables = _with_variables(self._patterns)

    def _fixed_bindings(self, globs: Collection[str], known: Collection[str]) -> dict[str, Binding | None]:
        """The words of all classes with their bindings; None where the search chooses."""
        bindings = [_UNBOUND]
        if self._are_together:
            repeats_group = any(pattern.repeats_group for pattern in self._patterns)
            bindings += [(True, False)] * self._has_user
            bindings += [(False, True)] * (self._most_groups if repeats_group else min(1, self._most_groups))
            bindings += [(True, True)] * (self._has_user and self._most_groups > 0)
        # Only the first segment of a name can contain a colon.
        classes = shortest_words({glob for glob in globs if ":" not in glob}, known, len(bindings), self._budget)
        return dict(entry for words in classes for entry in _bound(words, known, bindings))

    def covered_names(self) -> Iterator[CoveredName]:
        """Each distinct result once, shortest names first.

        Raises:
            TooComplex: the budget is spent before all of them were found.
        """
        try:
            yield from self._search()
        finally:
            self._automaton.clear()
            self._table.clear()

    def _search(self) -> Iterator[CoveredName]:
        """An A* search, whose heuristic is the length that the required patterns still need."""
        order = count()  # so that the heap never compares configurations
        start: _Configuration = (False, self._table.intern(), self._automaton.start())
        pending = [(0, next(order), "", start)]
        reached = {start: 0}
        reported: set[tuple[Bindings, tuple[frozenset[Match], ...]]] = set()
        while pending:
            reach, _, name, configuration = heappop(pending)
            if reach > reached[configuration]:
                continue  # a shorter name reached it meanwhile
            is_whole, bindings, state = configuration
            if is_whole:  # an empty name, or a host alone, is no name
                ends = tuple(self._ends(one.positions) for one in state.sets)
                if all(ends[:-1]) and (bindings, ends) not in reported:
                    reported.add((bindings, ends))
                    yield self._covered_name(name, ends)
            begun = len(name) + bool(name)
            for word, binding, following in self._steps(state, bindings, is_first=not name):
                self._budget.spend()
                after = self._automaton.after(state, word, binding)
                length = begun + len(word) + after.needed
                reaches = (":" not in word, following, after)
                if length <= MAX_NAME_LENGTH and length < reached.get(reaches, UNREACHABLE):
                    reached[reaches] = length
                    heappush(pending, (length, next(order), f"{name}/{word}" if name else word, reaches))

    def _ends(self, positions: Positions) -> frozenset[Match]:
        return frozenset(
            Match(place, user, group) for place, at, user, group in positions if at == len(self._segments[place])
        )

    def _covered_name(self, name: str, ends: Sequence[frozenset[Match]]) -> CoveredName:
        matched = frozenset[Match]().union(*ends)
        if self._are_together and self._with_variables:
            segments = name.split("/")
            words = [word for word in dict.fromkeys(segments) if ":" not in word]
            near = [entry for prefix in prefixes(segments) for entry in self._with_variables.get(prefix, ())]
            places = {place for place, _, _ in near}
            exact = {match for match in matched if match.place not in places}
            for place, uses_user, uses_group in near:
                # Every user and group for which the pattern covers the name.
                self._budget.spend((len(words) if uses_user else 1) * (len(words) if uses_group else 1))
                for user, group in product(words if uses_user else _ANY, words if uses_group else _ANY):
                    if matches_below(self._patterns[place], segments, user, (group,)):
                        exact.add(Match(place, user, group))
            matched = frozenset(exact)
        required = frozenset(match for match in matched if match.place in self._required)
        return CoveredName(name, required, matched - required)

    def _steps(
        self, state: ProductState, bindings: Bindings, *, is_first: bool
    ) -> Iterator[tuple[str, Binding, Bindings]]:
        """A word for each class of segments that can follow, with each possible binding and the bindings after it."""
        choice = state.choices.get(is_first)
        if choice is None:
            choice = state.choices[is_first] = self._choice(self._automaton.expanded(state), is_first=is_first)
        has_variable, words = choice
        if has_variable:  # a name that is already bound can occur again
            words = words | {word: True for word in (bindings.user, *bindings.by_word) if word}
        for word, is_wanted in words.items():
            if not has_variable or ":" in word:
                yield word, _UNBOUND, bindings
            elif not self._are_together:
                yield word, (True, True), bindings
            else:
                successors = bindings.successors.get((word, is_wanted))
                if successors is None:
                    successors = bindings.successors[word, is_wanted] = [*self._bind(word, bindings, is_wanted)]
                for binding, following in successors:
                    yield word, binding, following

    def _choice(self, sets: Sequence[PositionSet], *, is_first: bool) -> tuple[bool, dict[str, bool]]:
        """Whether a variable can match the next segment, and the words to try, as `_words` returns them."""
        has_variable = any(positions.has_variable for positions in sets)
        words = dict(self._words(sets, has_variable, is_first=is_first))
        if has_variable:  # a later segment may be the literal name of the client bound here
            words |= dict.fromkeys(self._literals, True)
        return has_variable, words

    def _words(self, sets: Sequence[PositionSet], has_variable: bool, *, is_first: bool) -> Mapping[str, bool]:
        """The words to try, and whether a pattern asks for exactly this one.

        Where a required pattern has only literals, those are all words.
        """
        for positions in sets[:-1]:
            if not positions.loose:
                return {word: True for word in sorted(positions.literals) if is_first or ":" not in word}
        words = dict.fromkeys(self._fixed if has_variable else self._unbound, False)
        if is_first:
            words |= dict.fromkeys(self._hosts, False)
        if has_variable:
            words |= dict.fromkeys(self._named, False)
        for positions in sets:
            words |= {word: True for word in sorted(positions.literals) if is_first or ":" not in word}
            words |= dict.fromkeys(positions.remembered, True)
        return words

    def _bind(self, word: str, bindings: Bindings, is_wanted: bool) -> Iterator[tuple[Binding, Bindings]]:
        """The possible bindings of a word that a variable can match."""
        fixed = self._fixed.get(word)
        if fixed is not None:
            if not fixed[0] or bindings.user in ("", word):
                yield fixed, self._table.intern(word, bindings.chosen) if fixed[0] else bindings
            return
        known = bindings.by_word.get(word)
        if known is not None:
            yield known, bindings
            return
        as_user = (True, False) if self._has_user and not bindings.user else (False,)
        as_group = (True, False) if bindings.group_count < self._most_groups else (False,)
        for binding in product(as_user, as_group):
            # Another word already represents nobody's names, unless exactly this word is wanted or no other exists.
            if binding != _UNBOUND or is_wanted or word in self._fixed:
                user = word if binding[0] else bindings.user
                yield binding, self._table.intern(user, bindings.chosen | {(word, binding)})


def shortest_ends(segments: Sequence[Segment]) -> list[int]:
    """The characters that a name needs at least from each segment on, slashes included; 0 after the last one."""
    lengths = [0]
    for segment in reversed(segments):
        shortest = len(segment.text) if segment.kind is SegmentKind.LITERAL else 1
        lengths.append(lengths[-1] + shortest + 1)
    return lengths[::-1]


def _texts(segments: Iterable[Segment], kind: SegmentKind) -> set[str]:
    return {segment.text for segment in segments if segment.kind is kind}


def _with_variables(patterns: Sequence[Pattern]) -> dict[str, list[tuple[int, bool, bool]]]:
    """By literal prefix: the places of patterns with variables, and whether they use `${user}` and `${group}`."""
    found: dict[str, list[tuple[int, bool, bool]]] = {}
    for place, pattern in enumerate(patterns):
        uses_user, uses_group = pattern.uses(SegmentKind.USER), pattern.uses(SegmentKind.GROUP)
        if uses_user or uses_group:
            found.setdefault(pattern.prefix, []).append((place, uses_user, uses_group))
    return found


def _bound(
    words: Sequence[str], known: Collection[str], bindings: Sequence[Binding]
) -> Iterable[tuple[str, Binding | None]]:
    """The words of one class with their bindings; None where the search chooses.

    The search chooses for all words of a class with too few of them, and for known words that are shorter than others.
    """
    free = [word for word in words if word not in known]
    if len(free) < len(bindings):
        return [(word, None) for word in words]
    shorter = [word for word in words if word in known and len(word) < len(free[0])]
    return [*zip(free, bindings, strict=False), *((word, None) for word in shorter)]
