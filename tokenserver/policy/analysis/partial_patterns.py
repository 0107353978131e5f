"""Partial patterns: exact answers about variables inside segments and captures, by values that represent all others.

With a value in the place of each variable, a pattern is one without variables, for which the plain searches decide. The
names that they find are then read again by the patterns themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from operator import attrgetter

from tokenserver.patterns import Pattern, SegmentKind, matches
from tokenserver.policy.analysis.escapes import shortest_path
from tokenserver.policy.analysis.product_search import CoveredName, Match, ProductSearch
from tokenserver.policy.budget import Budget
from tokenserver.policy.variables.filling import captures_of, filled, has_variables, is_partial, widened
from tokenserver.policy.variables.readings import readings
from tokenserver.policy.variables.values import Values, values_of

FILLING_STEPS = 2
"""Steps for the values of one pattern."""

_BY_USER, _BY_GROUP = (attrgetter("user"), attrgetter("group")), (attrgetter("group"), attrgetter("user"))


def partial_escape(inner: Sequence[Pattern], avoided: Sequence[Pattern], budget: Budget) -> str | None:
    """A name that all of `inner` cover for the same client and none of `avoided` does; None if there is none.

    Raises:
        TooComplex: not decided within the budget.
    """
    path = shortest_path([*map(widened, inner)], [one for one in avoided if not is_partial(one)], budget)
    if path is None:
        return None
    segments = [word for word, _ in path]
    if _escapes(segments, inner, avoided):
        return "/".join(segments)
    values = values_of([*inner, *avoided], budget=budget)
    tried = set()
    for user, group in product(*_used(inner, values)):
        budget.spend()
        kind = values.alike(user, group)
        if kind in tried:
            continue
        tried.add(kind)
        budget.spend(FILLING_STEPS * (len(inner) + len(avoided)))
        outside = dict.fromkeys(one for pattern in avoided for one in filled(pattern, user, group))
        for within in product(*(filled(pattern, user, group) for pattern in inner)):
            path = shortest_path(within, [*outside], budget)
            if path is not None:
                return "/".join(word for word, _ in path)
    return None


def _used(patterns: Sequence[Pattern], found: Values) -> tuple[list[str], list[str]]:
    """The values of both variables, a single empty one where no pattern has it."""
    kinds = ((SegmentKind.USER, found.users), (SegmentKind.GROUP, found.groups))
    first, second = (values if any(one.uses(kind) for one in patterns) else [""] for kind, values in kinds)
    return first, second


def _escapes(segments: Sequence[str], inner: Sequence[Pattern], avoided: Sequence[Pattern]) -> bool:
    """Whether the name escapes for any user and group."""
    read = [[*readings(pattern, segments)] for pattern in inner]
    users = {user for found in read for user, _ in found if user} or {""}
    groups = {group for found in read for _, group in found if group} or {""}
    return any(
        all(matches(one, segments, user, (group,)) for one in inner)
        and not any(matches(one, segments, user, (group,)) for one in avoided)
        for user, group in product(users, groups)
    )


def partial_overlap(one: Pattern, other: Pattern, budget: Budget) -> str | None:
    """A name that both cover, each for a client of its own; None if there is none.

    Raises:
        TooComplex: not decided within the budget.
    """
    both = (one,) if one == other else (one, other)
    path = shortest_path([*map(widened, both)], (), budget)
    if path is None:
        return None
    segments = [word for word, _ in path]
    if all(any(True for _ in readings(pattern, segments)) for pattern in both):
        return "/".join(segments)
    found = _Filled(both, (), values_of(both, budget=budget), budget)
    return next((one.name for one in found.names()), None)


def partial_names(
    required: Sequence[Pattern],
    others: Sequence[Pattern],
    named: Collection[str],
    taken: Collection[str],
    budget: Budget,
) -> Iterator[CoveredName]:
    """The result of `containment.covered_names`.

    Raises:
        TooComplex: the budget is spent before all names were found.
    """
    patterns = [*required, *others]
    known = frozenset(named).union(taken)
    ways: set[frozenset[Match]] = set()
    captures = {one for pattern in patterns for one in captures_of(pattern)}
    parts = (capture.value(name) for name in known for capture in captures)
    found = _Filled(required, others, values_of(patterns, named, taken, budget), budget)
    for one in found.names(known.union(filter(None, parts))):
        covered = _read(one, required, others, found, budget)
        if covered is not None:
            way = _without_names(covered, known)
            if way not in ways:
                ways.add(way)
                yield covered


class _Filled:
    """Required patterns and others with each of the values in the place of their variables."""

    def __init__(
        self,
        required: Sequence[Pattern],
        others: Sequence[Pattern],
        values: Values,
        budget: Budget,
    ) -> None:
        self._budget = budget
        self._required = [self._all(pattern, values) for pattern in required]
        known: dict[Pattern, None] = {}
        for pattern in others:
            known |= dict.fromkeys(self._all(pattern, values))
        self.others = [*known]

    def _all(self, pattern: Pattern, values: Values) -> list[Pattern]:
        found: dict[Pattern, None] = {}
        for user, group in product(*_used([pattern], values)):
            self._budget.spend(FILLING_STEPS)
            found |= dict.fromkeys(filled(pattern, user, group))
        return [*found]

    def names(self, taken: Collection[str] = ()) -> Iterator[CoveredName]:
        """Every name that the plain search tells apart, with the places of filled patterns.

        Where a segment can be any word, it is none of `taken`.
        """
        flat = [one for alternatives in self._required for one in alternatives]
        search = ProductSearch(
            flat,
            self.others,
            taken=taken,
            are_together=True,
            budget=self._budget,
            alternatives=[*map(len, self._required)],
        )
        return search.covered_names()

    def plain_places(self, found: CoveredName) -> set[Pattern]:
        """The filled patterns of `others` that cover a name."""
        first = sum(map(len, self._required))
        return {self.others[match.place - first] for match in found.others}


def _read(
    found: CoveredName, required: Sequence[Pattern], others: Sequence[Pattern], within: _Filled, budget: Budget
) -> CoveredName | None:
    """The name with each user and group for which the patterns cover it; None without a client for all required."""
    segments = found.name.split("/")
    needed = [[Match(place, *pair) for pair in readings(one, segments)] for place, one in enumerate(required)]
    users = [{match.user for match in matched if match.user} for matched in needed]
    bound = [one for one, pattern in zip(users, required, strict=True) if pattern.uses(SegmentKind.USER)]
    if bound and not set.intersection(*bound):
        return None
    covering = within.plain_places(found)
    matched: set[Match] = set()
    for place, pattern in enumerate(others, len(required)):
        if has_variables(pattern):
            budget.spend()
            matched |= {Match(place, *pair) for pair in readings(pattern, segments)}
        elif pattern in covering:
            matched.add(Match(place))
    return CoveredName(found.name, frozenset(match for one in needed for match in one), frozenset(matched))


def _without_names(found: CoveredName, known: Collection[str]) -> frozenset[Match]:
    """The matches with numbers for users and groups that are not known by name. Equal ones are the same way."""
    matches_ = found.required | found.others
    numbers: list[dict[str, str]] = []
    for pick, other in (_BY_USER, _BY_GROUP):
        profiles: dict[str, list[tuple[int, str]]] = {}
        for match in matches_:
            value = other(match)
            profiles.setdefault(pick(match), []).append((match.place, value if value in known else str(bool(value))))
        unknown = sorted(value for value in profiles if value and value not in known)
        unknown.sort(key=lambda value: sorted(profiles[value]))
        numbers.append({value: f"\0{number}" for number, value in enumerate(unknown)})
    users, groups = numbers
    return frozenset(
        Match(one.place, users.get(one.user, one.user), groups.get(one.group, one.group)) for one in matches_
    )


def any_partial(patterns: Iterable[Pattern]) -> bool:
    """Whether any of the patterns is partial."""
    return any(map(is_partial, patterns))
