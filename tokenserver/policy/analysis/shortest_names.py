"""Single segments that some globs take and as few others as possible: what an escape from patterns is made of.

Where names are looked for that a set of patterns does not cover, a word that fewer of its globs take is as good as
one that more of them take, or better. So only the least words are tried, those of which no shorter one, and no one of
the same length, is taken by fewer globs; with `n` globs such as `*a*` these are at most `n`, where the classes of words
that the globs tell apart are `2**n`. (The technique is known as antichains: De Wulf, Doyen, Henzinger, Raskin,
"Antichains: A New Algorithm for Checking Universality of Finite Automata", CAV 2006.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokenserver.policy.analysis.segment_automata import DIGITS, LETTERS, MACHINES, START, Globs, Grammar
from tokenserver.policy.budget import QUESTION_STEPS, Budget
from tokenserver.scopes import MAX_NAME_LENGTH

Words = tuple[tuple[str, frozenset[str]], ...]
"""Words, each with the avoided globs that take it all the same; shorter words come first."""


def least_words(
    grammar: Grammar, required: frozenset[str], avoided: frozenset[str], fresh: int, budget: Budget
) -> Words:
    """The least words that all globs of `required` take, by which of `avoided` take them, with shorter ones first.

    Every word that `required` take is no shorter than some word here that no other globs of `avoided` take. `avoided`
    are globs and names. Words are made of the `fresh`-th character that no glob names, where there are so many.

    Raises:
        TooComplex: there are too many ways to avoid `avoided`.
    """
    words, steps = _least(grammar, tuple(sorted(required)), tuple(sorted(avoided)), fresh)
    budget.spend(steps)  # also where the answer is remembered, so that a verdict never depends on what came before
    return words


@lru_cache(maxsize=4096)
def _least(grammar: Grammar, required: tuple[str, ...], avoided: tuple[str, ...], fresh: int) -> tuple[Words, int]:
    """The words, and the steps that it took to find them."""
    if avoided and not _least(grammar, required, (), fresh)[0]:
        return (), _least(grammar, required, (), fresh)[1]
    search = _Search(grammar, [Globs.of([text]) for text in required], Globs.of(avoided), fresh, Budget())
    # A word that nothing avoided takes is the rule, and soon found; then only words that are shorter matter besides.
    free = search.found(MAX_NAME_LENGTH, only_free=True)
    longest = len(free[0][1]) - 1 if free else MAX_NAME_LENGTH
    found = [*search.found(longest, only_free=False), *free]
    words = tuple((word, search.avoided.texts_at(ends)) for ends, word in found)
    return words, QUESTION_STEPS - search.budget.left


@dataclass(frozen=True, slots=True)
class _Search:
    """Over all words of a grammar, shorter ones first. Globs of `required` are machines of one glob each."""

    grammar: Grammar
    required: Sequence[Globs]
    avoided: Globs
    fresh: int
    budget: Budget

    def found(self, longest: int, *, only_free: bool) -> list[tuple[int, str]]:
        """The least words of at most so many characters, with the ends of the avoided globs that take them.

        With `only_free`, the first one that none of those takes, alone.
        """
        machine, machine_ends = MACHINES[self.grammar]
        avoided = self.avoided
        alphabet = _alphabet([*self.required, avoided], self.fresh)
        reached: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        found: list[tuple[int, str]] = []
        pending = deque([(START, tuple(glob.start for glob in self.required), avoided.start, "")])
        while pending:
            state, places, others, word = pending.popleft()
            taken = avoided.taken_for_good(others)
            self.budget.spend(1 + len(found) // 8)
            if (only_free and taken) or any(known & ~taken == 0 for known, _ in found):
                continue  # whatever it becomes, a word that is no longer is taken by no others
            if state in machine_ends and all(place & glob.ends for glob, place in self._beside(places)):
                ends = others & avoided.ends
                if not any(known & ~ends == 0 for known, _ in found) and not (only_free and ends):
                    found.append((ends, word))
                if not ends:
                    break
            if len(word) >= longest:
                continue
            for characters, following in machine[state]:
                for character in alphabet:
                    if character not in characters:
                        continue
                    after = tuple(glob.furthest(glob.step(place, character)) for glob, place in self._beside(places))
                    if not all(after):
                        continue
                    others_after = avoided.step(others, character)
                    known_others = reached.setdefault((following, after), [])
                    self.budget.spend(1 + len(known_others) // 8)
                    if not any(known & ~others_after == 0 for known in known_others):
                        known_others.append(others_after)
                        pending.append((following, after, others_after, word + character))
        return found

    def _beside(self, places: tuple[int, ...]) -> Iterable[tuple[Globs, int]]:
        return zip(self.required, places, strict=True)


def _alphabet(machines: Sequence[Globs], fresh: int) -> list[str]:
    """Characters that stand for all: those that are named, one letter and one digit that are not, and separators.

    Where there is a letter or digit that no glob names, it can stand for every separator that none names.
    """
    named = {character for machine in machines for character in machine.characters} - {":"}
    alike: list[str] = []
    for characters in (LETTERS, DIGITS):
        free = [character for character in characters if character not in named]
        alike += free[min(fresh, len(free) - 1) :][:1] if free else []
    separators = [] if alike else [character for character in "-_." if character not in named]
    return [*alike, *separators, *sorted(named), ":"]
