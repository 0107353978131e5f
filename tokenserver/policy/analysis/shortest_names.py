"""Shortest segments that some globs match and as few others as possible: the words that an escape is built from.

In the search for names that a set of patterns does not cover, a word that fewer of its globs match is as good as one
that more of them match, or better. So only the minimal words are tried: those for which no word of at most the same
length is matched by fewer globs. With `n` globs such as `*a*` these are at most `n`, while the globs distinguish `2**n`
classes of words. (The technique is known as antichains: De Wulf, Doyen, Henzinger, Raskin, "Antichains: A New Algorithm
for Checking Universality of Finite Automata", CAV 2006.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokenserver.policy.budget import QUESTION_STEPS, Budget
from tokenserver.policy.variables.segment_automata import DIGITS, GRAMMARS, LETTERS, START, GlobAutomaton, Grammar
from tokenserver.scopes import MAX_NAME_LENGTH

Words = tuple[tuple[str, frozenset[str]], ...]
"""Words, each with the avoided globs that match it nevertheless, shorter words first."""


def least_words(
    grammar: Grammar, required: frozenset[str], avoided: frozenset[str], fresh: int, budget: Budget
) -> Words:
    """The minimal words that all globs of `required` match, each with those of `avoided` that match it, shortest first.

    For every word that `required` match, the result has one that is no longer and that no other globs of `avoided`
    match. `avoided` are globs and names. Words use the `fresh`-th character that no glob contains, if there are enough.

    Raises:
        TooComplex: there are too many ways to avoid `avoided`.
    """
    words, steps = _least(grammar, tuple(sorted(required)), tuple(sorted(avoided)), fresh)
    budget.spend(steps)  # also for a cached result, so that a verdict never depends on earlier questions
    return words


@lru_cache(maxsize=4096)
def _least(grammar: Grammar, required: tuple[str, ...], avoided: tuple[str, ...], fresh: int) -> tuple[Words, int]:
    """The words, and the number of steps of the search."""
    if avoided and not _least(grammar, required, (), fresh)[0]:
        return (), _least(grammar, required, (), fresh)[1]
    search = _WordSearch(
        grammar, [GlobAutomaton.of([text]) for text in required], GlobAutomaton.of(avoided), fresh, Budget()
    )
    # Mostly some word is free of all avoided globs, and found quickly; then only shorter words matter as well.
    free = search.found(MAX_NAME_LENGTH, only_free=True)
    longest = len(free[0][1]) - 1 if free else MAX_NAME_LENGTH
    found = [*search.found(longest, only_free=False), *free]
    words = tuple((word, search.avoided.texts_at(ends)) for ends, word in found)
    return words, QUESTION_STEPS - search.budget.left


_Node = tuple[int, tuple[int, ...], int, str]
"""A state of the grammar, those of the required globs, that of the avoided globs, and the word so far."""


@dataclass(frozen=True, slots=True)
class _WordSearch:
    """A breadth-first search over all words of a grammar. Each of `required` is the automaton of a single glob."""

    grammar: Grammar
    required: Sequence[GlobAutomaton]
    avoided: GlobAutomaton
    fresh: int
    budget: Budget

    def found(self, longest: int, *, only_free: bool) -> list[tuple[int, str]]:
        """The minimal words of at most `longest` characters, with the ends of the avoided globs that match them.

        With `only_free`, only the first word that no avoided glob matches.
        """
        _, grammar_ends = GRAMMARS[self.grammar]
        alphabet = _alphabet([*self.required, self.avoided], self.fresh)
        reached: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        found: list[tuple[int, str]] = []
        pending = deque([(START, tuple(glob.start for glob in self.required), self.avoided.start, "")])
        while pending:
            node = state, places, others, word = pending.popleft()
            settled = self.avoided.settled(others)
            self.budget.spend(1 + len(found) // 8)
            if (only_free and settled) or _is_dominated(settled, found):
                continue  # a found word that is no longer is matched by no other globs, however this one continues
            if state in grammar_ends and all(place & glob.ends for glob, place in self._paired(places)):
                ends = others & self.avoided.ends
                if not _is_dominated(ends, found) and not (only_free and ends):
                    found.append((ends, word))
                if not ends:
                    break
            if len(word) < longest:
                self._extend(node, alphabet, reached, pending)
        return found

    def _extend(
        self,
        node: _Node,
        alphabet: Sequence[str],
        reached: dict[tuple[int, tuple[int, ...]], list[int]],
        pending: deque[_Node],
    ) -> None:
        """Queue every word with one more character whose state no state reached before dominates."""
        state, places, others, word = node
        for characters, following in GRAMMARS[self.grammar][0][state]:
            for character in alphabet:
                if character not in characters:
                    continue
                after = tuple(glob.furthest(glob.step(place, character)) for glob, place in self._paired(places))
                if not all(after):
                    continue
                others_after = self.avoided.step(others, character)
                known_others = reached.setdefault((following, after), [])
                self.budget.spend(1 + len(known_others) // 8)
                if not any(known & ~others_after == 0 for known in known_others):
                    known_others.append(others_after)
                    pending.append((following, after, others_after, word + character))

    def _paired(self, places: tuple[int, ...]) -> Iterable[tuple[GlobAutomaton, int]]:
        return zip(self.required, places, strict=True)


def _is_dominated(ends: int, found: Iterable[tuple[int, str]]) -> bool:
    """Whether a found word is matched by none but the globs with these ends."""
    return any(known & ~ends == 0 for known, _ in found)


def _alphabet(automata: Sequence[GlobAutomaton], fresh: int) -> list[str]:
    """Characters that represent all others: those in globs, one other letter and digit, and separators.

    A letter or digit that no glob contains also represents every separator that none contains.
    """
    named = {character for automaton in automata for character in automaton.characters} - {":"}
    alike: list[str] = []
    for characters in (LETTERS, DIGITS):
        free = [character for character in characters if character not in named]
        alike += free[min(fresh, len(free) - 1) :][:1] if free else []
    separators = [] if alike else [character for character in "-_." if character not in named]
    return [*alike, *separators, *sorted(named), ":"]
