"""Classes of values that nothing in some patterns distinguishes, each with its shortest values.

Two values are alike if, between the same texts, they are matched by the same globs and literals. A breadth-first search
over characters finds the shortest values of each class.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tokenserver.policy.budget import QUESTION_STEPS, Budget
from tokenserver.policy.variables.contexts import Contexts, Texts, widest
from tokenserver.policy.variables.filling import WHOLE
from tokenserver.policy.variables.segment_automata import DIGITS, GRAMMARS, LETTERS, START, GlobAutomaton, Grammar
from tokenserver.scopes import MAX_NAME_LENGTH

_SEPARATORS = "-_."


@dataclass(frozen=True, slots=True)
class Distinctions:
    """What distinguishes values: by the texts around one, the globs and literals that can match the same segment."""

    automaton: GlobAutomaton
    masks: Mapping[Texts, int]
    """The positions in these globs and literals."""

    @classmethod
    def of(cls, contexts: Contexts) -> Distinctions:
        """The distinctions of some patterns."""
        by_around: dict[Texts, set[str]] = {}
        for around, text in contexts.meetings:
            by_around.setdefault(around, set()).add(text)
        by_around.setdefault(WHOLE, set()).update(widest(one) for one, _ in contexts.pairs if one != WHOLE)
        if len(contexts.captures) > 1:
            for capture in contexts.captures:
                by_around.setdefault(capture, set()).update(map(widest, contexts.captures))
        texts = sorted(set().union(*by_around.values()))
        positions: dict[str, int] = {}
        place = 0
        for text in texts:
            positions[text] = ((1 << len(text) + 1) - 1) << place
            place += len(text) + 1
        masks = {around: sum(positions[text] for text in found) for around, found in by_around.items()}
        return cls(GlobAutomaton.of(texts), masks)

    def starts(self, around: Texts) -> Iterable[int]:
        """The states after the text before a value. With a `*`, each position counts by itself: any can be reached."""
        mask = self.masks.get(around, 0)
        head, star, tail = around[0].partition("*")
        if not star:
            return [self._after(self.automaton.start & mask, head)]
        places = (1 << place for place in range(mask.bit_length()) if mask >> place & 1)
        return sorted({self._after(place, tail) for place in places} - {0})

    def ends(self, state: int, after: str) -> int:
        """What matches the segment with the text after the value; where any text can follow, the whole state."""
        end, star, _ = after.partition("*")
        state = self._after(state, end)
        return state if star else state & self.automaton.ends

    def matching(self, around: Texts, value: str) -> tuple[int, ...]:
        """What matches a segment with a value between these texts."""
        return tuple(self.ends(self._after(state, value), around[1]) for state in self.starts(around))

    def _after(self, state: int, text: str) -> int:
        for character in text:
            state = self.automaton.step(state, character) if state else 0
        return state


def shortest_values(contexts: Contexts, taken: frozenset[str], budget: Budget) -> list[str]:
    """The shortest legal values of each class, some of each such that they and the groups named for them are new.

    Raises:
        TooComplex: there are too many of them.
    """
    count = limit = 1 + contexts.group_count
    captures = contexts.captures

    def is_free(word: str) -> bool:
        return word not in taken and not any(f"{before}{word}{after}" in taken for before, after in captures)

    while True:
        classes, steps = _by_class(contexts, limit)
        budget.spend(steps)
        chosen: list[str] = []
        for words in classes:
            free = 0
            for word in words:
                if free == count:
                    break
                chosen.append(word)
                free += is_free(word)
            if free < count and len(words) >= limit:
                break
        else:
            return chosen
        limit *= 2


@lru_cache(maxsize=256)
def _by_class(contexts: Contexts, limit: int) -> tuple[list[list[str]], int]:
    """At least the `limit` shortest words of each class, and the number of steps of the search."""
    budget = Budget()
    places = _PrefixStates(Distinctions.of(contexts), contexts)
    periods = _periods(contexts)
    characters = {*places.characters} - {":"}
    fresh = [one for one in LETTERS + DIGITS if one not in characters][:limit] or [
        one for one in _SEPARATORS if one not in characters
    ]
    alphabet = [*fresh, *sorted(characters)]
    transitions, ends = GRAMMARS[Grammar.COMPONENT]
    visits: dict[tuple[object, ...], int] = {}
    found: dict[tuple[object, ...], list[str]] = {}
    steps: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
    pending = deque([(START, places.start, "")])
    while pending:
        state, positions, word = pending.popleft()
        budget.spend()
        key = (state, positions, tuple(_in_period(word, period) for period in periods))
        if visits.get(key, 0) >= limit:
            continue
        visits[key] = visits.get(key, 0) + 1
        budget.spend(len(alphabet) * (1 + len(positions) // 8))
        if state in ends:
            wanted = (places.ends(positions), tuple(_in_period(word, period) >= 0 for period in periods))
            found.setdefault(wanted, []).append(word)
        if len(word) == MAX_NAME_LENGTH:
            continue
        after = steps.get(positions)
        if after is None:  # the grammar's states share them
            after = steps[positions] = {one: places.step(positions, one) for one in alphabet}
        for legal, following in transitions[state]:
            pending.extend([(following, after[one], word + one) for one in alphabet if one in legal])
    return [*found.values()], QUESTION_STEPS - budget.left


def _longer(contexts: Contexts) -> Iterable[tuple[Texts, Texts]]:
    """The texts around a value in a segment where another variable has it with other texts; and those of the other."""
    for (before, after), (other_before, other_after) in contexts.pairs:
        end = _beyond(other_after[::-1], after[::-1])[::-1]
        longer = (f"{before}{_beyond(other_before, before)}", f"{end}{after}")
        if "*" not in longer[0] + longer[1]:
            yield longer, (before, after)


def _beyond(text: str, start: str) -> str:
    """The rest of the text after `start`; empty if it does not begin so."""
    return text[len(start) :] if text.startswith(start) else ""


def _periods(contexts: Contexts) -> list[str]:
    """What is repeated in a value that is the same word between two different pairs of texts."""
    return sorted({_beyond(longer[0], shorter[0]) for longer, shorter in contexts.pairs} - {""})


def _in_period(word: str, period: str) -> int:
    """How far the word is in the last of the periods that it consists of; -1 if it is none."""
    return len(word) % len(period) if (period * (len(word) // len(period) + 1)).startswith(word) else -1


class _PrefixStates:
    """The states of an automaton after a value, one for each text that can be before it."""

    def __init__(self, known: Distinctions, contexts: Contexts) -> None:
        self._known = known
        self.characters: Collection[str] = known.automaton.characters
        starts: dict[int, int] = {}
        self._ends: dict[tuple[int, str], None] = {}
        arounds = {*contexts.arounds, *contexts.captures, WHOLE}
        for around, masked in sorted({*((one, one) for one in arounds), *_longer(contexts)}):
            mask = known.masks.get(masked, 0)
            for state in Distinctions(known.automaton, {around: mask}).starts(around):
                self._ends[starts.setdefault(state, len(starts)), around[1]] = None
        self.start = tuple(starts)

    def step(self, positions: tuple[int, ...], character: str) -> tuple[int, ...]:
        step = self._known.automaton.step
        return tuple([step(one, character) if one else 0 for one in positions])

    def ends(self, positions: tuple[int, ...]) -> tuple[int, ...]:
        """What matches the segments around a value; where any text can follow, the whole state."""
        return tuple([self._known.ends(positions[place], after) for place, after in self._ends])
