"""Single segments of repository names: for every way in which globs tell legal segments apart, the shortest ones.

A glob is a small machine over characters, and so is the grammar of a segment. All of them run side by side, and
whatever the product can reach is a class of segments that no glob tells apart; a class that it cannot reach is empty.
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

# The grammar of `scopes`, as machines: state -> (the characters that lead on, and where to).
_Machine = Mapping[int, Sequence[tuple[frozenset[str], int]]]

_COMPONENT: _Machine = {
    0: [(_ALPHANUMERIC, 1)],
    1: [(_ALPHANUMERIC, 1), (frozenset("."), 2), (frozenset("_"), 3), (frozenset("-"), 5)],
    2: [(_ALPHANUMERIC, 1)],
    3: [(_ALPHANUMERIC, 1), (frozenset("_"), 4)],
    4: [(_ALPHANUMERIC, 1)],
    5: [(_ALPHANUMERIC, 1), (frozenset("-"), 5)],
}
_COMPONENT_ENDS = frozenset({1})

_HOST: _Machine = {
    0: [(_ALPHANUMERIC, 1)],
    1: [(_ALPHANUMERIC, 1), (frozenset("-"), 2), (frozenset("."), 0), (frozenset(":"), 3)],
    2: [(_ALPHANUMERIC, 1), (frozenset("-"), 2)],
    **{state: [(frozenset(DIGITS), state + 1)] for state in range(3, 8)},
    8: [],
}
_HOST_ENDS = frozenset(range(4, 9))


class Grammar(Enum):
    """What a segment can be; a host with a port stands first alone."""

    COMPONENT = auto()
    HOST = auto()


MACHINES = {Grammar.COMPONENT: (_COMPONENT, _COMPONENT_ENDS), Grammar.HOST: (_HOST, _HOST_ENDS)}


@dataclass(frozen=True, slots=True)
class Globs:
    """Globs side by side as one machine: bit `i` of a state is "stands before character `i`" of all texts in a row."""

    start: int
    ends: int
    stars: int
    last_stars: int
    """The stars behind which nothing comes: whoever has reached one is taken, whatever follows."""
    characters: Mapping[str, int]
    text_of: Mapping[int, str]
    """By the bit of its end."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Globs:
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
        return after | (after & self.stars) << 1  # a star may also take nothing

    def taken_for_good(self, state: int) -> int:
        """The ends of the globs that take the word so far, and every word that begins with it."""
        return (state & self.last_stars) << 1

    def furthest(self, state: int) -> int:
        """The same state of a single glob without what its last star that is reached makes up for."""
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
    """Path components, for each class that `globs` tell apart: the shortest, until `count` are not in `taken`.

    A class with fewer is there with all of its words.

    Raises:
        TooComplex: there are too many classes.
    """
    return _shortest(Grammar.COMPONENT, tuple(sorted(globs)), taken, count, budget or Budget())


def shortest_hosts(globs: Collection[str], budget: Budget | None = None) -> tuple[str, ...]:
    """The shortest `host:port` for each class that `globs` tell apart.

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
        budget.spend(steps)  # also where the answer is remembered, so that a verdict never depends on what came before
        chosen: list[list[str]] = []
        for words in by_class.values():
            free = 0
            chosen.append([])
            for word in words:
                if free == count:
                    break
                chosen[-1].append(word)
                free += word not in taken
            # With a full list there may be more words behind its end; with a shorter one, these are all.
            if free < count and len(words) >= limit:
                break
        else:
            return chosen
        limit *= 2


@lru_cache(maxsize=1024)
def _by_class(grammar: Grammar, globs: tuple[str, ...], limit: int) -> tuple[dict[int, list[str]], int]:
    """At least the `limit` shortest words of every class, by length; all of them where a class has no more.

    The machine is deterministic, so that the `limit` shortest words of a state need no more than that many of any
    state before it. Characters that stand in no glob are all alike, and `limit` of them are as good as all. The second
    result is how many steps it took.
    """
    machine, machine_ends = MACHINES[grammar]
    machine_of_globs = Globs.of(globs)
    named = set(machine_of_globs.characters)
    fresh = [character for character in LETTERS if character not in named][:limit]
    fresh += [character for character in DIGITS if character not in named][:limit]
    # Where no letter or digit is left that no glob names, separators are not as good as one of those.
    fresh += [character for character in "-_." if not fresh and character not in named]
    alphabet = [*fresh, *sorted(named - {":"}), ":"]
    budget = Budget()
    visits: dict[tuple[int, int], int] = {}
    found: dict[int, list[str]] = {}
    pending = deque([(START, machine_of_globs.start, "")])
    while pending:
        state, positions, word = pending.popleft()
        budget.spend()
        if visits.get((state, positions), 0) >= limit:
            continue
        budget.spend(len(alphabet))
        visits[state, positions] = visits.get((state, positions), 0) + 1
        if state in machine_ends:
            found.setdefault(positions & machine_of_globs.ends, []).append(word)
        if len(word) == MAX_NAME_LENGTH:
            continue
        for characters, following in machine[state]:
            pending.extend(
                (following, machine_of_globs.step(positions, character), word + character)
                for character in alphabet
                if character in characters
            )
    return found, QUESTION_STEPS - budget.left
