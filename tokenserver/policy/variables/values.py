"""Values of variables that represent all others, for patterns with variables inside segments and with captures.

Two values are alike if, between the same texts, they are matched by the same globs and literals. A breadth-first search
over characters finds the shortest values of each class. Where a user's and a group's segment meet in one name, with
different texts around them, each follows from the other one: such values are derived from those found so far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product

from tokenserver.policy.budget import QUESTION_STEPS, Budget
from tokenserver.policy.patterns import Capture, Pattern, Segment, SegmentKind, fits_around
from tokenserver.policy.variables.filling import WHOLE, captures_of, plain, segments_of
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


@dataclass(frozen=True, slots=True)
class Values:
    """The users and the names of groups that represent all others, shortest first; without the variable, an empty one.

    `alike` is equal for two users, or two groups, that nothing distinguishes.
    """

    users: list[str]
    groups: list[str]
    alike: Callable[[str, str], Hashable]
    """Equal for two pairs of a user and a group that nothing in the patterns distinguishes."""


def values_of(
    patterns: Iterable[Pattern], named: Collection[str] = (), taken: Collection[str] = (), budget: Budget | None = None
) -> Values:
    """The values of the variables in these patterns that represent all others.

    `named` are among them, where they fit; others are found whose names are not in `taken`.

    Raises:
        TooComplex: there are too many of them.
    """
    budget = budget or Budget()
    contexts = Contexts.of(patterns)
    cores = _cores(contexts, frozenset(taken).union(named), budget)
    found = _Derived(contexts, frozenset(named), budget)
    for one in named:
        found.add(one)
    for core in cores:
        for capture in [None] * bool(contexts.users) + sorted({capture for capture, _ in contexts.groups}):
            found.add_core(core, capture)
    for core in cores:
        found.read(core, ())
    for _ in range(ROUNDS):
        found.derive()
    return Values(_sorted(found.users) or [""], _sorted(found.groups) or [""], found.pair)


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(values, key=lambda value: (len(value), value))


def _around(text: str, texts: _Texts) -> str:
    return f"{texts[0]}{text}{texts[1]}"


_Text = tuple[str, str, str]
"""A segment with a value: the texts before, of and after it."""


class _Derived:
    """Users and names of groups; of those that nothing distinguishes, some are enough."""

    def __init__(self, contexts: Contexts, named: frozenset[str], budget: Budget) -> None:
        self._contexts, self._named, self._budget = contexts, named, budget
        self._users, self._groups = sorted(contexts.users), sorted(contexts.groups)
        self._automaton = _automaton(contexts)
        self.users: dict[str, Hashable] = {}
        self.groups: dict[str, Hashable] = {}
        self._count = 3 if contexts.repeats else 2
        self._counts: dict[Hashable, int] = {}
        self._seen: set[Hashable] = set()
        self._new: list[tuple[str, bool]] = []

    def add(self, name: str) -> None:
        """Add a user and a group of this name."""
        for is_user in (True, False):
            kind = self._kind(name, is_user=is_user)
            if kind is not None:
                self._keep(name, kind, is_user=is_user)

    def add_core(self, core: str, capture: _Texts | None) -> None:
        """Add a user, or a group with this capture, unless there are enough like it."""
        name = core if capture is None else _around(core, capture)
        kind = self._kind(name, is_user=capture is None)
        key = (capture is None, kind)
        if kind is not None and self._counts.get(key, 0) < self._count:
            self._counts[key] = self._counts.get(key, 0) + 1
            self._keep(name, kind, is_user=capture is None)

    def derive(self) -> None:
        """Read every segment of all new values as a segment of the others."""
        new, self._new = self._new, []
        for name, is_user in new:
            kind = (self.users if is_user else self.groups)[name]
            for number, (before, value, after) in enumerate(self._texts(name, is_user=is_user)):
                for word in _written(value, (before, after)):
                    self.read(word, (kind, number))

    def read(self, word: str, source: tuple[Hashable, ...]) -> None:
        """Add the values that a segment gives to variables, unless such ones from such a source are known."""
        found = [(value, True) for around in self._users for value in _values(word, around)]
        for capture, around in self._groups:
            found += [(_around(value, capture), False) for value in _values(word, around)]
        found = list(dict.fromkeys(found))
        self._budget.spend(1 + 2 * len(found))
        kinds = [(self._kind(name, is_user=is_user), is_user) for name, is_user in found]
        key = (*source, *kinds)
        if key not in self._seen:
            self._seen.add(key)
            for (name, is_user), (kind, _) in zip(found, kinds, strict=True):
                if kind is not None:
                    self._keep(name, kind, is_user=is_user)

    def _keep(self, name: str, kind: Hashable, *, is_user: bool) -> None:
        values = self.users if is_user else self.groups
        if name not in values:
            self._budget.spend(4)
            values[name] = kind
            self._new.append((name, is_user))

    def _texts(self, name: str, *, is_user: bool) -> list[_Text]:
        """The segments with this value."""
        if is_user:
            return [(before, name, after) for before, after in self._users] if is_path_component(name) else []
        values = ((Capture(*capture).value(name), around) for capture, around in self._groups)
        return [(around[0], value, around[1]) for value, around in values if value is not None]

    def _kind(self, name: str, *, is_user: bool) -> Hashable:
        """What the patterns can tell of a value; None if it is none."""
        known = (self.users if is_user else self.groups).get(name)
        if known is not None:
            return known
        texts = self._texts(name, is_user=is_user)
        if not texts:
            return None
        if name in self._named:
            return name
        self._budget.spend(1 + len(texts) // 4)
        which = () if is_user else tuple(Capture(*one).value(name) is not None for one, _ in self._groups)
        written = ["".join(text) for text in texts]
        return (
            which,
            tuple(written.index(text) for text in written),
            tuple(_matching(self._automaton, text) for text in written),
        )

    def pair(self, user: str, group: str) -> Hashable:
        """What the patterns can tell of a user and a group together."""
        ours, others = (
            ["".join(text) for text in self._texts(name, is_user=is_user)]
            for name, is_user in ((user, True), (group, False))
        )
        between = [tuple(map(plain, texts)) for texts in (ours, others)]
        related = tuple((_covers(one, other), _covers(other, one)) for one, other in product(*between))
        return self.users.get(user), self.groups.get(group), related


def _covers(one: Segment, other: Segment) -> bool:
    """Whether a segment covers another one; a `*` of the other one is taken for any character."""
    return one.text == other.text if one.kind is SegmentKind.LITERAL else fits_around(("", ""), one.text, other.text)


def _automaton(contexts: Contexts) -> GlobAutomaton:
    """The automaton of all segments without variables, and of what segments with variables can be."""
    arounds = {*contexts.users, *(around for _, around in contexts.groups)}
    captures = {capture for capture, _ in contexts.groups}
    texts = contexts.texts.union(f"{before}*{after}".replace("**", "*") for before, after in arounds | captures)
    return GlobAutomaton.of(sorted(texts))


def _matching(automaton: GlobAutomaton, text: str) -> tuple[int, ...]:
    """What matches a segment. With a `*`, what can follow each side of it."""
    before, star, after = text.partition("*")
    state = automaton.start
    for character in before:
        state = automaton.step(state, character)
    if not star:
        return (state & automaton.ends,)
    last = automaton.ends.bit_length()
    found = [state]
    for place in range(last) if after else ():
        follower = 1 << place
        for character in after:
            follower = automaton.step(follower, character)
        found.append(follower)
    return tuple(found)


def _written(value: str, around: _Texts) -> Iterator[str]:
    """A segment with this value between these texts, if there is one: the shortest, with or without text for a `*`."""
    words = (_around(value, around).replace("*", text) for text in ("", LETTERS[0]))
    yield from islice(filter(is_path_component, words), 1)


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
    automaton = _automaton(contexts)
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
