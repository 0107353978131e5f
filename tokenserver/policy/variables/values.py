"""Values of variables that represent all others, for patterns with variables inside segments and with captures.

Two values are alike if, between the same texts, they are matched by the same globs and literals. A breadth-first search
over characters finds the shortest values of each class. Where a user's and a group's segment meet in one name, with
different texts around them, each follows from the other one: such values are derived from those found so far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from tokenserver.policy.budget import QUESTION_STEPS, Budget
from tokenserver.policy.patterns import Capture, Pattern, SegmentKind
from tokenserver.policy.variables.filling import WHOLE, captures_of, segments_of
from tokenserver.policy.variables.segment_automata import DIGITS, GRAMMARS, LETTERS, START, GlobAutomaton, Grammar
from tokenserver.scopes import MAX_NAME_LENGTH, is_path_component

ROUNDS = 2
"""How often values are derived from values, each time over one segment in which two variables meet."""

_SEPARATORS = "-_."

_Texts = tuple[str, str]
"""The texts before and after something."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """The texts around the variables of some patterns, and all their other segments.

    `groups` has both the texts around the variable in the group's name, and those in a segment.
    """

    users: frozenset[_Texts]
    groups: frozenset[tuple[_Texts, _Texts]]
    texts: frozenset[str]
    repeats: bool

    @classmethod
    def of(cls, patterns: Iterable[Pattern]) -> Contexts:
        users: set[_Texts] = set()
        groups: set[tuple[_Texts, _Texts]] = set()
        texts: set[str] = set()
        repeats = False
        for pattern in patterns:
            repeats |= pattern.repeats_group
            for one in segments_of(pattern):
                around = (one.pieces[0], one.pieces[1]) if len(one.pieces) == 2 else WHOLE
                if one.kind is SegmentKind.USER:
                    users.add(around)
                elif one.kind is SegmentKind.GROUP:
                    groups |= {((capture.before, capture.after), around) for capture in captures_of(pattern)}
                elif one.kind is not SegmentKind.MANY and ":" not in one.text:
                    texts.add(one.text)
        return cls(frozenset(users), frozenset(groups), frozenset(texts), repeats)


def values_of(
    patterns: Iterable[Pattern], named: Collection[str] = (), taken: Collection[str] = (), budget: Budget | None = None
) -> tuple[list[str], list[str]]:
    """The users and the names of groups that represent all others in these patterns, shortest first.

    Each list is a single empty one if no pattern has the variable. `named` are among them, where they fit; others are
    found whose names are not in `taken`.

    Raises:
        TooComplex: there are too many of them.
    """
    budget = budget or Budget()
    contexts = Contexts.of(patterns)
    cores = _cores(contexts, frozenset(taken).union(named), budget)
    found = _Derived(contexts, budget)
    found.add_words(cores)
    found.add_users([*cores, *named])
    found.add_groups([*(_around(core, capture) for core in cores for capture, _ in contexts.groups), *named])
    for _ in range(ROUNDS):
        found.derive()
    return _sorted(found.users) or [""], _sorted(found.groups) or [""]


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(values, key=lambda value: (len(value), value))


def _around(text: str, texts: _Texts) -> str:
    return f"{texts[0]}{text}{texts[1]}"


class _Derived:
    """Users, names of groups, and segments in which a variable has one of these values."""

    def __init__(self, contexts: Contexts, budget: Budget) -> None:
        self._contexts, self._budget = contexts, budget
        self.users: set[str] = set()
        self.groups: set[str] = set()
        self._new: list[Callable[[], None]] = []
        self._words: set[str] = set()

    def add_words(self, words: Iterable[str]) -> None:
        for word in words:
            if word not in self._words:
                self._words.add(word)
                self._new.append(lambda word=word: self._read(word))  # type: ignore[misc]

    def add_users(self, users: Iterable[str]) -> None:
        for user in users if self._contexts.users else ():
            self._budget.spend()
            if user not in self.users and is_path_component(user):
                self.users.add(user)
                self._new.append(lambda user=user: self.add_words(self._segments(user)))  # type: ignore[misc]

    def add_groups(self, groups: Iterable[str]) -> None:
        for group in groups:
            self._budget.spend()
            if group not in self.groups:
                words = [*self._group_segments(group)]
                if words:
                    self.groups.add(group)
                    self._new.append(lambda words=words: self.add_words(words))  # type: ignore[misc]

    def derive(self) -> None:
        """Add the segments of all new values, and then the values of all new segments."""
        for _ in range(2):
            new, self._new = self._new, []
            for one in new:
                one()

    def _segments(self, user: str) -> Iterator[str]:
        return (word for around in self._contexts.users for word in _written(user, around))

    def _group_segments(self, group: str) -> Iterator[str]:
        for capture, around in self._contexts.groups:
            value = Capture(*capture).value(group)
            if value is not None:
                yield from _written(value, around)

    def _read(self, word: str) -> None:
        self.add_users(value for around in self._contexts.users for value in _values(word, around))
        self.add_groups(
            _around(value, capture) for capture, around in self._contexts.groups for value in _values(word, around)
        )


def _written(value: str, around: _Texts) -> Iterator[str]:
    """The shortest segment with this value between these texts, if it is one."""
    word = _around(value, around).replace("*", "")
    if is_path_component(word):
        yield word


def _values(word: str, around: _Texts) -> Iterator[str]:
    """The values with which a segment can be this word."""
    (before, star, start), (end, other_star, after) = around[0].partition("*"), around[1].rpartition("*")
    if not star:
        before, start = around[0], ""
    if not other_star:
        end, after = "", around[1]
    if len(word) <= len(before) + len(after) or not (word.startswith(before) and word.endswith(after)):
        return
    inner = word[len(before) : len(word) - len(after)]
    starts = [at + len(start) for at in range(len(inner)) if inner.startswith(start, at)] if star else [0]
    ends = [at for at in range(len(inner)) if inner.startswith(end, at)] + [len(inner)] * (not end)
    for first, last in product(starts, ends if other_star else [len(inner)]):
        if is_path_component(inner[first:last]):
            yield inner[first:last]


def _cores(contexts: Contexts, taken: frozenset[str], budget: Budget) -> list[str]:
    """The shortest legal words of each class, some of each such that they and the groups named for them are new."""
    count = limit = 3 if contexts.repeats else 2
    captures = {capture for capture, _ in contexts.groups}

    def is_free(word: str) -> bool:
        return word not in taken and not any(_around(word, capture) in taken for capture in captures)

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
    arounds = {*contexts.users, *(around for _, around in contexts.groups)}
    captures = {capture for capture, _ in contexts.groups}
    texts = contexts.texts.union(f"{before}*{after}".replace("**", "*") for before, after in arounds | captures)
    automaton = GlobAutomaton.of(sorted(texts))
    places = _Places(automaton, sorted(arounds | captures | {WHOLE} | _longer(contexts)))
    periods = _periods(arounds)
    characters = {*automaton.characters} - {":"}
    fresh = [one for one in LETTERS + DIGITS if one not in characters][:limit] or [
        one for one in _SEPARATORS if one not in characters
    ]
    alphabet = [*fresh, *sorted(characters)]
    transitions, ends = GRAMMARS[Grammar.COMPONENT]
    visits: dict[tuple[object, ...], int] = {}
    found: dict[tuple[object, ...], list[str]] = {}
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
        if len(word) < MAX_NAME_LENGTH:
            for legal, following in transitions[state]:
                pending.extend((following, places.step(positions, one), word + one) for one in alphabet if one in legal)
    return [*found.values()], QUESTION_STEPS - budget.left


def _longer(contexts: Contexts) -> set[_Texts]:
    """The texts around a value in a segment where another variable has this value and other texts around it."""
    found: set[_Texts] = set()
    words = [*contexts.users, *(around for _, around in contexts.groups)]
    for (before, after), (other_before, other_after) in product(words, repeat=2):
        found.add(
            (f"{before}{_beyond(other_before, before)}", f"{_beyond(other_after[::-1], after[::-1])[::-1]}{after}")
        )
    return {around for around in found if "*" not in around[0] + around[1]}


def _beyond(text: str, start: str) -> str:
    """The rest of the text after `start`; empty if it does not begin so."""
    return text[len(start) :] if text.startswith(start) else ""


def _periods(arounds: Collection[_Texts]) -> list[str]:
    """What is repeated in a value that is the same word between two different pairs of texts."""
    befores = sorted({before for before, _ in arounds if "*" not in before})
    return sorted({_beyond(longer, before) for before in befores for longer in befores} - {""})


def _in_period(word: str, period: str) -> int:
    """How far the word is in the last of the periods that it consists of; -1 if it is none."""
    return len(word) % len(period) if (period * (len(word) // len(period) + 1)).startswith(word) else -1


class _Places:
    """The states of an automaton after a value, one for each text that can be before it."""

    def __init__(self, automaton: GlobAutomaton, arounds: Sequence[_Texts]) -> None:
        self._automaton = automaton
        starts: dict[int, int] = {}
        self._ends: list[tuple[int, str, bool]] = []
        for before, after in arounds:
            end, star, _ = after.partition("*")
            for state in self._starts(before):
                place = starts.setdefault(state, len(starts))
                self._ends.append((place, end, bool(star)))
        self.start = tuple(starts)

    def _starts(self, before: str) -> Iterable[int]:
        """The states after these texts. With a `*`, each position counts by itself, since any can be reached."""
        head, star, tail = before.partition("*")
        if not star:
            return [self._after(self._automaton.start, head)]
        last = max(self._automaton.ends.bit_length(), 1)
        return {self._after(1 << place, tail) for place in range(last)} - {0}

    def _after(self, state: int, text: str) -> int:
        for character in text:
            state = self._automaton.step(state, character)
        return state

    def step(self, positions: tuple[int, ...], character: str) -> tuple[int, ...]:
        return tuple([self._automaton.step(one, character) if one else 0 for one in positions])

    def ends(self, positions: tuple[int, ...]) -> tuple[int, ...]:
        """What matches the segments around a value; where any text can follow, the whole state."""
        found = []
        for place, end, is_open in self._ends:
            state = self._after(positions[place], end)
            found.append(state if is_open else state & self._automaton.ends)
        return tuple(found)
