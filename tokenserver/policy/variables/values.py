"""Values of variables that represent all others, for patterns with variables inside segments and with captures.

Where a user's and a group's segment meet in one name, with different texts around them, each value follows from the
other one: such values are derived from the shortest ones of each class.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product

from tokenserver.patterns import Capture, Pattern, Segment, SegmentKind, fits_around
from tokenserver.policy.budget import Budget
from tokenserver.policy.variables.contexts import Contexts, Texts
from tokenserver.policy.variables.filling import plain
from tokenserver.policy.variables.segment_automata import LETTERS
from tokenserver.policy.variables.value_classes import Distinctions, shortest_values
from tokenserver.scopes import is_path_component

ROUNDS = 2
"""How often values are derived from values, each time over one segment in which two variables meet."""


@dataclass(frozen=True, slots=True)
class Values:
    """The users and names of groups that represent all others, shortest first; without the variable, an empty one."""

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
    contexts = Contexts.of(patterns, budget)
    cores = shortest_values(contexts, frozenset(taken).union(named), budget)
    found = _Derived(contexts, frozenset(named), budget)
    for one in named:
        found.add(one)
    for core in cores:
        for capture in [None] * bool(contexts.users) + sorted(contexts.captures):
            found.add_core(core, capture)
    if contexts.pairs:
        for core in cores:
            found.read(core)
    for _ in range(ROUNDS):
        found.derive()
    return Values(_sorted(found.users) or [""], _sorted(found.groups) or [""], found.pair)


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(values, key=lambda value: (len(value), value))


def _around(text: str, texts: Texts) -> str:
    return f"{texts[0]}{text}{texts[1]}"


class _Derived:
    """Users and names of groups; of those that nothing distinguishes, some are enough."""

    def __init__(self, contexts: Contexts, named: frozenset[str], budget: Budget) -> None:
        self._contexts, self._named, self._budget = contexts, named, budget
        self._users, self._groups = sorted(contexts.users), sorted(contexts.groups)
        self._known = Distinctions.of(contexts)
        self.users: dict[str, Hashable] = {}
        self.groups: dict[str, Hashable] = {}
        self._counts: dict[Hashable, int] = {}
        self._seen: set[Hashable] = set()
        self._new: list[tuple[str, bool]] = []

    def add(self, name: str) -> None:
        """Add a user and a group of this name."""
        for is_user in (True, False):
            kind = self._kind(name, is_user=is_user)
            if kind is not None:
                self._keep(name, kind, is_user=is_user)

    def add_core(self, core: str, capture: Texts | None) -> None:
        """Add a user, or a group with this capture, unless there are enough like it."""
        name = core if capture is None else _around(core, capture)
        kind = self._kind(name, is_user=capture is None)
        key = (capture is None, kind)
        # Of groups, one can have the name of the user.
        enough = 1 if capture is None else 1 + self._contexts.group_count
        if kind is not None and self._counts.get(key, 0) < enough:
            self._counts[key] = self._counts.get(key, 0) + 1
            self._keep(name, kind, is_user=capture is None)

    def derive(self) -> None:
        """Read every segment of all new values as a segment of the others."""
        new, self._new = self._new, []
        for name, is_user in new:
            kind = (self.users if is_user else self.groups)[name]
            for around, value in self._segments(name, is_user=is_user):
                others = [other for one, other in self._contexts.pairs if one == around]
                for word in _written(value, around, others):
                    self.read(word, around, kind)

    def read(self, word: str, source: Texts | None = None, kind: Hashable = None) -> None:
        """Add the values that a segment gives to variables, unless such ones are known from a value of this kind.

        `source` are the texts around that value in the segment; None if it is not known to have one.
        """
        pairs = self._contexts.pairs
        found: dict[tuple[str, bool], None] = {}
        for around in self._users:
            if source is None or (source, around) in pairs:
                found |= dict.fromkeys((value, True) for value in _values(word, around))
        for capture, around in self._groups:
            if source is None or (source, around) in pairs:
                found |= dict.fromkeys((_around(value, capture), False) for value in _values(word, around))
        self._budget.spend(1 + 2 * len(found))
        kinds = [self._kind(name, is_user=is_user) for name, is_user in found]
        key = (source, kind, *zip(found.values(), kinds, strict=True))
        if key not in self._seen:
            self._seen.add(key)
            for (name, is_user), one in zip(found, kinds, strict=True):
                self._keep(name, one, is_user=is_user)

    def _keep(self, name: str, kind: Hashable, *, is_user: bool) -> None:
        values = self.users if is_user else self.groups
        if name not in values:
            self._budget.spend(4)
            values[name] = kind
            self._new.append((name, is_user))

    def _segments(self, name: str, *, is_user: bool) -> list[tuple[Texts, str]]:
        """The segments with this value, as the texts around it and what is between them."""
        if is_user:
            return [(around, name) for around in self._users] if is_path_component(name) else []
        values = ((around, Capture(*capture).value(name)) for capture, around in self._groups)
        return [(around, value) for around, value in values if value is not None]

    def _kind(self, name: str, *, is_user: bool) -> Hashable:
        """What the patterns can tell of a value; None if it is none."""
        known = (self.users if is_user else self.groups).get(name)
        if known is not None:
            return known
        segments = self._segments(name, is_user=is_user)
        if not segments:
            return None
        if name in self._named:
            return name
        self._budget.spend(1 + len(segments) // 4)
        which = () if is_user else tuple(Capture(*one).value(name) is not None for one, _ in self._groups)
        written = [_around(value, around) for around, value in segments]
        return (
            which,
            tuple(written.index(text) for text in written),
            tuple(self._known.matching(around, value) for around, value in segments),
        )

    def pair(self, user: str, group: str) -> Hashable:
        """What the patterns can tell of a user and a group together."""
        ours, others = (
            [(around, plain(_around(value, around))) for around, value in self._segments(name, is_user=is_user)]
            for name, is_user in ((user, True), (group, False))
        )
        related = tuple(
            (_covers(one, other), _covers(other, one))
            for (here, one), (there, other) in product(ours, others)
            if here == there or (here, there) in self._contexts.pairs
        )
        return self.users.get(user), self.groups.get(group), related


def _covers(one: Segment, other: Segment) -> bool:
    """Whether a segment covers another one; a `*` of the other one is taken for any character."""
    return one.text == other.text if one.kind is SegmentKind.LITERAL else fits_around(("", ""), one.text, other.text)


def _written(value: str, around: Texts, others: Iterable[Texts]) -> Iterator[str]:
    """Segments with this value between these texts: the shortest, and with a `*`, those that others can be."""
    word = _around(value, around)
    yield from islice(filter(is_path_component, (word.replace("*", text) for text in ("", LETTERS[0]))), 1)
    if "*" in word:
        texts: set[str] = set()
        for before, after in others:
            texts |= {before[:end] for end in range(1, len(before) + 1)} if "*" in around[0] else set()
            texts |= {after[start:] for start in range(len(after))} if "*" in around[1] else set()
        yield from filter(is_path_component, (word.replace("*", text) for text in sorted(texts)))


def _values(word: str, around: Texts) -> Iterator[str]:
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
