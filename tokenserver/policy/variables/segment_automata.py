"""Segment automata: for each class of legal segments that globs distinguish, its shortest segments.

A glob is a small automaton over characters, and so is the grammar of a segment. Each reachable state of their product
is a class of segments that no glob distinguishes; a class that is not reachable is empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from tokenserver.policy.budget import QUESTION_STEPS, Budget
from tokenserver.scopes import MAX_NAME_LENGTH

LETTERS = "xyzwvutsrqponmlkjihgfedcba"
DIGITS = "0123456789"
_ALPHANUMERIC = frozenset(LETTERS + DIGITS)
START = 0

# The grammar of `scopes` as automata: state -> (characters, next state).
_Automaton = Mapping[int, Sequence[tuple[frozenset[str], int]]]

_COMPONENT: _Automaton = {
    0: [(_ALPHANUMERIC, 1)],
    1: [(_ALPHANUMERIC, 1), (frozenset("."), 2), (frozenset("_"), 3), (frozenset("-"), 5)],
    2: [(_ALPHANUMERIC, 1)],
    3: [(_ALPHANUMERIC, 1), (frozenset("_"), 4)],
    4: [(_ALPHANUMERIC, 1)],
    5: [(_ALPHANUMERIC, 1), (frozenset("-"), 5)],
}
_COMPONENT_ENDS = frozenset({1})

_HOST: _Automaton = {
    0: [(_ALPHANUMERIC, 1)],
    1: [(_ALPHANUMERIC, 1), (frozenset("-"), 2), (frozenset("."), 0), (frozenset(":"), 3)],
    2: [(_ALPHANUMERIC, 1), (frozenset("-"), 2)],
    **{state: [(frozenset(DIGITS), state + 1)] for state in range(3, 8)},
    8: [],
}
_HOST_ENDS = frozenset(range(4, 9))


class Grammar(Enum):
    """The two kinds of segments; a host with a port can only be the first one."""

    COMPONENT = auto()
    HOST = auto()


GRAMMARS = {Grammar.COMPONENT: (_COMPONENT, _COMPONENT_ENDS), Grammar.HOST: (_HOST, _HOST_ENDS)}


@dataclass(frozen=True, slots=True)
class GlobAutomaton:
    """Several globs as one bit-parallel automaton; bit `i` of a state is the position before character `i` of all."""

    start: int
    ends: int
    stars: int
    last_stars: int
    """The stars at the end of a glob: a word that reaches one is matched, whatever follows."""
    characters: Mapping[str, int]
    text_of: Mapping[int, str]
    """Each glob by the bit of its end."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> GlobAutomaton:
        start = ends = stars = last_stars = place = 0
        characters: dict[str, int] = {}
        text_of: dict[int, str] = {}
        for text in texts:
            start |= 1 << place
            for at, character in enumerate(text, place):
                if character == "*":
                    stars |= 1 << at
                else:
                    characters[character] = characters.get(character, 0) | 1 << at
            place += len(text)
            last_stars |= stars & 1 << place - 1
            ends |= 1 << place
            text_of[1 << place] = text
            place += 1
        return cls(start | (start & stars) << 1, ends, stars, last_stars, characters, text_of)

    def step(self, state: int, character: str) -> int:
        after = (state & self.characters.get(character, 0)) << 1 | state & self.stars
        return after | (after & self.stars) << 1  # a star also matches the empty string

    def settled(self, state: int) -> int:
        """The ends of the globs that match the word so far and each of its continuations."""
        return (state & self.last_stars) << 1

    def furthest(self, state: int) -> int:
        """The state of a single glob without the positions that its last reached star makes redundant."""
        reached = state & self.stars
        return state & -(1 << reached.bit_length() - 1) if reached else state

    def texts_at(self, ends: int) -> frozenset[str]:
        """The globs with these ends."""
        found = set()
        while ends:
            last = ends & -ends
            found.add(self.text_of[last])
            ends ^= last
        return frozenset(found)


def shortest_words(
    globs: Collection[str], taken: Collection[str] = (), count: int = 1, budget: Budget | None = None
) -> list[list[str]]:
    """The shortest path components of each class that `globs` distinguish, until `count` are not in `taken`.

    A class with fewer words is returned with all of them.

    Raises:
        TooComplex: there are too many classes.
    """
    return _shortest(Grammar.COMPONENT, tuple(sorted(globs)), taken, count, budget or Budget())


def shortest_hosts(globs: Collection[str], budget: Budget | None = None) -> tuple[str, ...]:
    """The shortest `host:port` of each class that `globs` distinguish.

    Raises:
        TooComplex: there are too many classes.
    """
    found = _shortest(Grammar.HOST, tuple(sorted(globs)), (), 1, budget or Budget())
    return tuple(word for words in found for word in words)


def _shortest(
    grammar: Grammar, globs: tuple[str, ...], taken: Collection[str], count: int, budget: Budget
) -> list[list[str]]:
    limit = count
    while True:
        by_class, steps = _by_class(grammar, globs, limit)
        budget.spend(steps)  # also for a cached result, so that a verdict never depends on earlier questions
        chosen: list[list[str]] = []
        for words in by_class.values():
            free = 0
            chosen.append([])
            for word in words:
                if free == count:
                    break
                chosen[-1].append(word)
                free += word not in taken
            # A full list may be cut off; a shorter one is complete.
            if free < count and len(words) >= limit:
                break
        else:
            return chosen
        limit *= 2


@lru_cache(maxsize=1024)
def _by_class(grammar: Grammar, globs: tuple[str, ...], limit: int) -> tuple[dict[int, list[str]], int]:
    """At least the `limit` shortest words of every class, by length; all of them where a class has no more.

    The automaton is deterministic, so the `limit` shortest words of a state need at most that many of any state before
    it. Characters that occur in no glob are equivalent, and `limit` of them represent all. The second result is the
    number of steps.
    """
    transitions, grammar_ends = GRAMMARS[grammar]
    automaton = GlobAutomaton.of(globs)
    named = set(automaton.characters)
    fresh = [character for character in LETTERS if character not in named][:limit]
    fresh += [character for character in DIGITS if character not in named][:limit]
    # A letter or digit that no glob names also represents separators; without one, they are tried themselves.
    fresh += [character for character in "-_." if not fresh and character not in named]
    alphabet = [*fresh, *sorted(named - {":"}), ":"]
    budget = Budget()
    visits: dict[tuple[int, int], int] = {}
    found: dict[int, list[str]] = {}
    pending = deque([(START, automaton.start, "")])
    while pending:
        state, positions, word = pending.popleft()
        budget.spend()
        if visits.get((state, positions), 0) >= limit:
            continue
        budget.spend(len(alphabet))
        visits[state, positions] = visits.get((state, positions), 0) + 1
        if state in grammar_ends:
            found.setdefault(positions & automaton.ends, []).append(word)
        if len(word) == MAX_NAME_LENGTH:
            continue
        for characters, following in transitions[state]:
            pending.extend(
                (following, automaton.step(positions, character), word + character)
                for character in alphabet
                if character in characters
            )
    return found, QUESTION_STEPS - budget.left
