"""The answer to "who can do this on anything that a pattern covers?": for each client, on all of it or on which parts.

As for one name (`who_can`), each allow rule yields a line for each of its principals. A deny rule that covers the whole
part cuts the line; one that covers some names of it is kept with its pattern. Together they say what decisions say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.analysis.conditions import ALWAYS, Given, implies
from tokenserver.policy.analysis.containment import contains, covered_names, escape_from, may_overlap
from tokenserver.policy.analysis.intersection import intersection
from tokenserver.policy.analysis.pattern_index import widest
from tokenserver.policy.analysis.remainders import Remainder, escape_remainders
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.model import Condition, Effect, PolicySet, Principal, Rule
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    UNNAMED,
    AllOf,
    filler_of,
    groups_with_machines,
    listed,
    named_by,
    parted,
)
from tokenserver.policy.queries.what_can import agree
from tokenserver.policy.queries.who_can import LINE_STEPS, MAX_LINES, Line, People, Unless, order_of
from tokenserver.policy.queries.who_can_report import people_of
from tokenserver.policy.queries.witnesses import TooManyCombinations, machines_for
from tokenserver.policy.variables.filling import filled, of_any_group
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import is_path_component

_VARIABLES = (SegmentKind.USER, SegmentKind.GROUP)


@dataclass(frozen=True, slots=True)
class PartialStop:
    """A deny rule that stops the clients of `unless` on what `pattern` covers and none of `without` does."""

    pattern: Pattern
    unless: Unless
    without: tuple[Pattern, ...] = ()

    @property
    def names(self) -> Remainder:
        """The names on which it stops them."""
        return Remainder(self.pattern, self.without)


@dataclass(frozen=True, slots=True)
class Holding:
    """Access of the clients of `line` to the names that `pattern` and the pattern in question cover.

    What one of `without` covers is not among them, because of the rule's `not`. Where one of the `stops` covers a name,
    its clients are excepted. `parts` spell the names, as far as patterns can. `is_all`: no name of the question is
    missing, whatever the stops are.
    """

    line: Line
    pattern: Pattern
    parts: tuple[str, ...]
    is_all: bool
    stops: tuple[PartialStop, ...] = ()
    without: tuple[Pattern, ...] = ()

    @property
    def names(self) -> Remainder:
        """The names, of which some may not be among those of the question."""
        return Remainder(self.pattern, self.without)

    @property
    def is_unlimited(self) -> bool:
        """Whether no condition and no deny rule limits the access."""
        return not self.stops and not self.line.unless and self.line.when == ALWAYS


def holdings(
    policies: PolicySet, action: str, asked: Pattern, given: Given, budget: Budget | None = None
) -> tuple[Holding, ...]:
    """Who can do `action` on repositories that `asked` covers, which has no variables; no entry is part of another one.

    Raises:
        TooManyCombinations: the rules combine in more than `MAX_LINES` ways.
        TooComplex: not decided within the budget (None: that of one command).
    """
    return _PatternQuestion(policies, asked, given, budget or command_budget(policies.rule_count)).holdings(action)


def holders_of_all(policies: PolicySet, asked: Pattern, found: Sequence[Holding]) -> list[AllOf]:
    """Clients without exceptions that can always do it on all of `asked`, by one or several of the rules together."""
    people = people_of(policies, (one.line for one in found))
    unlimited = [one for one in found if one.is_unlimited]
    parts = [one.names for one in unlimited if not one.is_all]
    is_in_parts = escape_remainders(parts, [asked]) is None
    wide = [one for one in unlimited if one.is_all or is_in_parts]
    kept = []
    for who in dict.fromkeys(one.line.who for one in unlimited if not one.line.excepted):
        line = Line(who, frozenset(), ALWAYS, "")
        of_all = [one.names for one in wide if people.covers(one.line, line)]
        if escape_remainders(of_all, [asked]) is None:
            kept.append(who)
    return kept


class _PatternQuestion:
    """One question, about names that `asked` covers."""

    def __init__(self, policies: PolicySet, asked: Pattern, given: Given, budget: Budget) -> None:
        self._policies = policies
        self._asked = asked
        self._given = given
        self._budget = budget
        self._rules = [one for one in policies.rules if any(may_overlap(pattern, asked) for pattern in one.patterns)]
        is_open = any(pattern.uses(SegmentKind.GROUP) for rule in self._rules for pattern in rule.patterns)
        self._machine_groups = groups_with_machines(policies) if is_open else []
        named = named_by(self._rules).union(self._machine_groups)
        self._people = People(policies, budget, machines_for(policies, named))
        self._words = sorted(filter(is_path_component, asked.text.split("/")))

    def holdings(self, action: str) -> tuple[Holding, ...]:
        allows: list[tuple[Remainder, Line]] = []
        denies: list[PartialStop] = []
        for rule in self._rules:
            if rule.resource_type == "repository" and rule.decides(action):
                for names, who, excepted, when in self._meant(rule):
                    if rule.effect is Effect.ALLOW:
                        allows.append((names, Line(who, excepted, when, rule.id)))
                    else:
                        denies.append(PartialStop(names.pattern, Unless(who, excepted, when, rule.id), names.without))
        denies = sorted(set(denies), key=lambda one: (one.unless.rule, one.pattern.text, sorted(one.unless.who)))
        found = [one for names, line in dict.fromkeys(allows) for one in self._of(names, line, denies)]
        found = sorted(set(found), key=lambda one: (sorted(one.line.who), one.parts, repr(one)))
        return tuple(widest(found, lambda one: one.pattern, self._covers))

    def _meant(self, rule: Rule) -> Iterator[tuple[Remainder, AllOf, AllOf, Condition]]:
        """The principals to which the rule applies, the names for them, its exceptions, and its open condition."""
        bindings = [one for pattern in dict.fromkeys(rule.patterns) for one in self._bindings(pattern)]
        for principal in parted(listed(rule.to)):
            for pattern, binding in bindings:
                for each, some in self._split(pattern, (rule.capturing and binding) or binding | {principal}):
                    for who, when in self._people.applied(rule, some, self._given):
                        own, excepted = self._own(each, who), self._people.exceptions(rule, who)
                        if own is None or excepted is None or not self._touches([own]):
                            continue
                        without = tuple(one for one in rule.without if self._touches([own, one]))
                        if not without or not self._is_within(without, [own]):
                            yield Remainder(own, without), who, excepted, when

    def _split(self, pattern: Pattern, who: AllOf) -> Iterator[tuple[Pattern, AllOf]]:
        """The pattern for people, who can be in any group, and for machines, with each group that they are in."""
        if not any(map(pattern.uses, _VARIABLES)):
            yield pattern, who
            return
        for part in sorted(parts := self._people.parts(who)):
            mine = who if len(parts) == 1 else who | {part}
            if part == AUTHENTICATED:
                yield pattern, mine
            elif part != ANONYMOUS and not pattern.uses(SegmentKind.USER):
                for group in self._machine_groups:
                    if self._people.ways(mine | {group}):
                        yield from ((own, mine | {group}) for own in filled(pattern, None, group.name))

    def _bindings(self, pattern: Pattern) -> Iterator[tuple[Pattern, AllOf]]:
        """The pattern, if names of the question are covered; with variables filled in that the question settles."""
        if not may_overlap(pattern, self._asked):
            return
        common = intersection(pattern, self._asked, self._budget)
        users, groups = (self._values(kind, pattern, common) for kind in _VARIABLES)
        for user, group in product(users, groups) if common else ():
            named = ((filler_of(self._policies), user), ("group", group))
            who = frozenset(Principal(sort, name) for sort, name in named if name is not None)
            yield from ((own, who) for own in filled(pattern, user, group) if self._touches([own]))

    def _values(self, kind: SegmentKind, pattern: Pattern, common: Sequence[Pattern]) -> list[str | None]:
        """The users or groups to tell apart; None: any, where the variable is left in the common patterns."""
        left = [one.uses(kind) for one in common]
        if all(left) or not pattern.uses(kind):
            return [None]
        alone = [replace(pattern, prefix="", depth=0, rest=(one,)) for one in pattern.rest if one.kind is kind]
        found = {user or group for one in alone for word in self._words for user, group in readings(one, [word])}
        return [None, *sorted(found)] if any(left) else [*sorted(found)]

    def _of(self, names: Remainder, line: Line, denies: Sequence[PartialStop]) -> Iterator[Holding]:
        """What is left of an allow rule's line on its names."""
        pattern, without = names.pattern, names.without
        lines, partly = [line], list[PartialStop]()
        for deny in denies:
            own = self._own(deny.pattern, line.who)
            if own is None or self._is_spared(names, Remainder(own, deny.without)):
                continue
            if self._has_all(Remainder(own, deny.without), names):
                lines = [left for one in lines for left in self._people.cut(one, deny.unless)]
                if len(lines) > MAX_LINES:
                    raise TooManyCombinations(f"more than {MAX_LINES} combinations of principals to tell apart")
            else:
                partly.append(PartialStop(own, deny.unless, deny.without))
        parts = tuple(one.text for one in self._parts(pattern))
        is_all = not without and contains([pattern], self._asked, self._budget.question())
        for left in map(self._people.plain, lines):
            stops = tuple(
                self._merged(left, [one for one in partly if [*self._people.cut(left, one.unless)] != [left]])
            )
            if self._has_somebody(left, names, stops):
                yield Holding(left, pattern, parts, is_all, stops, without)

    def _merged(self, line: Line, stops: list[PartialStop]) -> list[PartialStop]:
        """The stops, with one for each deny rule that stops all sorts of clients of the line."""
        for names in dict.fromkeys(one.names for one in stops) if len(self._people.parts(line.who)) > 1 else ():
            unless = frozenset(one.unless for one in stops if one.names == names)
            kept = self._people.plain_unless(replace(line, unless=unless))
            stops = [one for one in stops if one.names != names or one.unless in kept]
            stops += (PartialStop(names.pattern, one, names.without) for one in sorted(kept - unless, key=order_of))
        return stops

    def _own(self, pattern: Pattern, who: AllOf) -> Pattern | None:
        """The pattern for clients that are all of `who`, with `${user}` filled in; None if nothing can fill it."""
        uses = {kind for kind in _VARIABLES if pattern.uses(kind)}
        if uses and (ANONYMOUS in who or (SegmentKind.USER in uses and AUTHENTICATED not in self._people.parts(who))):
            return None
        if SegmentKind.USER not in uses or not any(one.sort in ("user", "namespace") for one in who):
            return pattern
        values = {one.user_value for one in self._people.ways(who)}
        value = values.pop() if len(values) == 1 else UNNAMED
        return pattern if value == UNNAMED else next(iter(filled(pattern, value)), None)

    def _parts(self, pattern: Pattern) -> tuple[Pattern, ...]:
        """Patterns for the names of the question that the pattern covers; itself if they cannot be spelled exactly."""
        common = intersection(pattern, self._asked, self._budget)
        both = ([pattern], [self._asked])
        exact = all(contains(outer, one, self._budget.question()) for one in common for outer in both)
        return common if exact else (pattern,)

    def _touches(self, patterns: Sequence[Pattern]) -> bool:
        """Whether all of the patterns cover a name of the question for the same client."""
        return escape_from([], [*patterns, self._asked], self._budget.question()) is not None

    def _is_within(self, outer: Sequence[Pattern], patterns: Sequence[Pattern]) -> bool:
        """Whether the outer ones cover every name of the question that all of the patterns cover for one client."""
        return escape_from(outer, [*patterns, self._asked], self._budget.question()) is None

    def _is_spared(self, names: Remainder, stopped: Remainder) -> bool:
        """Whether none of the names is stopped for any client, who may be in several groups."""
        anybody = of_any_group(stopped.pattern) if names.pattern.uses(SegmentKind.GROUP) else stopped.pattern
        return self._is_within([*names.without, *stopped.without], [names.pattern, anybody])

    def _has_all(self, wide: Remainder, narrow: Remainder) -> bool:
        """Whether every name of the question in `narrow` is in `wide`, for the same client."""
        return self._is_within([wide.pattern, *narrow.without], [narrow.pattern]) and all(
            self._is_within(narrow.without, [narrow.pattern, one]) for one in wide.without
        )

    def _has_somebody(self, line: Line, names: Remainder, stops: Sequence[PartialStop]) -> bool:
        """Whether some client has access to some name."""
        # Of a stop that depends on circumstances, everybody has access at times.
        stops = [one for one in stops if implies(line.when, one.unless.when)]
        if not stops or not self._people.has_somebody(line):
            return self._people.has_somebody(line)
        stops += [stop for one in stops for stop in _of_members(one, line.who)]
        outer = [*(one.names for one in stops), *map(Remainder, names.without)]
        if escape_remainders(outer, [names.pattern, self._asked], self._budget.question()) is not None:
            return True
        required = (names.pattern, self._asked)
        others = [*(one.pattern for one in stops), *names.without, *(each for one in stops for each in one.without)]
        for found in covered_names(required, others, budget=self._budget.question()):
            covering = [(others[one.place - len(required)], one) for one in found.others]
            plain = {pattern for pattern, match in covering if not (match.user or match.group)}
            if not plain.isdisjoint(names.without):
                continue
            for own in (one for one in found.required if one.place == 0):
                covered = {pattern for pattern, match in covering if agree(own, match)}
                lines = [line]
                for stop in stops:
                    if stop.pattern in covered and plain.isdisjoint(stop.without):
                        lines = [left for one in lines for left in self._people.cut(one, stop.unless)]
                if any(self._people.has_somebody(self._people.plain(one)) for one in lines):
                    return True
        return False

    def _covers(self, wide: Holding, narrow: Holding) -> bool:
        """Whether the wide one has every client and name of the narrow one."""
        self._budget.spend(LINE_STEPS)
        return (
            may_overlap(wide.pattern, narrow.pattern)
            and set(wide.stops) <= set(narrow.stops)
            and self._people.covers(wide.line, narrow.line)
            and self._has_all(wide.names, narrow.names)
        )


def _of_members(stop: PartialStop, who: AllOf) -> Iterator[PartialStop]:
    """What the deny rule stops for members of the groups among `who`."""
    for group in (one.name for one in who if one.sort == "group" and stop.pattern.uses(SegmentKind.GROUP)):
        yield from (replace(stop, pattern=own) for own in filled(stop.pattern, None, group))
