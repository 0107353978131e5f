"""The answer to "who can do this on anything that a pattern covers?": for each client, on all of it or on which parts.

As for one name (`who_can`), each allow rule yields a line for each of its principals. A deny rule that covers the whole
part cuts the line; one that covers some names of the part is kept with its pattern. Together they are exactly what a
decision about each of the names says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from tokenserver.policy.analysis.conditions import ALWAYS, Given, left_open
from tokenserver.policy.analysis.containment import contains, covered_names, escape_from, may_overlap
from tokenserver.policy.analysis.intersection import intersection, pattern_of
from tokenserver.policy.analysis.product_search import segments_of
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.model import Condition, Effect, PolicySet, Principal, Principals, Rule
from tokenserver.policy.patterns import Pattern, Segment, SegmentKind
from tokenserver.policy.principals import ANONYMOUS, UNNAMED, AllOf, halved, listed
from tokenserver.policy.queries.what_can import agree
from tokenserver.policy.queries.who_can import LINE_STEPS, MAX_LINES, Line, People, Unless
from tokenserver.policy.queries.witnesses import TooManyCombinations
from tokenserver.scopes import is_path_component

_VARIABLES = {SegmentKind.USER: "", SegmentKind.GROUP: "group"}
"""The variables, and the sort of the principal that a value stands for; empty: see `People.filler`."""


@dataclass(frozen=True, slots=True)
class PartialStop:
    """A deny rule that stops the clients of `unless` on the names that `pattern` covers."""

    pattern: Pattern
    unless: Unless


@dataclass(frozen=True, slots=True)
class Holding:
    """Access of the clients of `line` to the names that `pattern` and the pattern in question cover.

    Where one of the `stops` covers a name, its clients are excepted. `parts` spell the names, as far as patterns can.
    `is_all`: no name of the question is missing, whatever the stops are.
    """

    line: Line
    pattern: Pattern
    parts: tuple[str, ...]
    is_all: bool
    stops: tuple[PartialStop, ...] = ()

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
    people = People(policies)
    unlimited = [one for one in found if one.is_unlimited]
    kept = []
    for who in dict.fromkeys(one.line.who for one in unlimited if not one.line.excepted):
        line = Line(who, frozenset(), ALWAYS, "")
        if contains([one.pattern for one in unlimited if people.covers(one.line, line)], asked):
            kept.append(who)
    return kept


class _PatternQuestion:
    """One question, about names that `asked` covers."""

    def __init__(self, policies: PolicySet, asked: Pattern, given: Given, budget: Budget) -> None:
        self._rules = policies.rules
        self._asked = asked
        self._given = given
        self._budget = budget
        self._people = People(policies, budget)
        self._words = sorted(filter(is_path_component, set(asked.text.split("/"))))

    def holdings(self, action: str) -> tuple[Holding, ...]:
        allows: list[tuple[Pattern, Line]] = []
        denies: list[PartialStop] = []
        for rule in self._rules:
            if rule.resource_type == "repository" and rule.decides(action):
                excepted = frozenset(halved(listed(rule.excluded or Principals())))
                for pattern, who, when in self._meant(rule):
                    if rule.effect is Effect.ALLOW:
                        allows.append((pattern, Line(who, excepted, when, rule.id)))
                    else:
                        denies.append(PartialStop(pattern, Unless(who, excepted, when, rule.id)))
        denies = sorted(set(denies), key=lambda one: (one.unless.rule, one.pattern.text, sorted(one.unless.who)))
        found = [one for pattern, line in dict.fromkeys(allows) for one in self._of(pattern, line, denies)]
        found = sorted(set(found), key=lambda one: (sorted(one.line.who), one.parts, repr(one)))
        kept: list[Holding] = []
        for one in found:
            self._budget.spend(LINE_STEPS * len(kept))
            if not any(self._covers(other, one) for other in kept):
                kept = [*(other for other in kept if not self._covers(one, other)), one]
        return tuple(kept)

    def _meant(self, rule: Rule) -> Iterator[tuple[Pattern, AllOf, Condition]]:
        """The principals to which the rule applies, the pattern for them, and its open condition."""
        bindings = [one for pattern in dict.fromkeys(rule.patterns) for one in self._bindings(pattern)]
        for principal in halved(listed(rule.to)):
            when = left_open(rule, anonymous=principal == ANONYMOUS, given=self._given)
            for pattern, binding in bindings:
                who = binding | {principal}
                own = self._own(pattern, who)
                if when is not None and own is not None and self._people.ways(who) and self._touches([own]):
                    yield own, who, when

    def _bindings(self, pattern: Pattern) -> Iterator[tuple[Pattern, AllOf]]:
        """The pattern, if names of the question are covered; with variables filled in that the question settles."""
        if not may_overlap(pattern, self._asked):
            return
        common = intersection(pattern, self._asked, self._budget)
        values = [self._values(kind, pattern, common) for kind in _VARIABLES]
        for bound in product(*values) if common else ():
            filled = pattern
            who: AllOf = frozenset()
            for (kind, sort), value in zip(_VARIABLES.items(), bound, strict=True):
                if value is not None:
                    filled = _filled(filled, kind, value)
                    who |= {Principal(sort or self._people.filler, value)}
            if self._touches([filled]):
                yield filled, who

    def _values(self, kind: SegmentKind, pattern: Pattern, common: Sequence[Pattern]) -> list[str | None]:
        """The values of a variable to tell apart; None: any, where it is left in the common patterns."""
        left = [one.uses(kind) for one in common]
        if all(left) or not pattern.uses(kind):
            return [None]
        return [None, *self._words] if any(left) else list(self._words)

    def _of(self, pattern: Pattern, line: Line, denies: Sequence[PartialStop]) -> Iterator[Holding]:
        """What is left of an allow rule's line on its pattern."""
        lines, partly = [line], list[PartialStop]()
        for deny in denies:
            own = self._own(deny.pattern, line.who)
            if own is None or not self._touches([pattern, own]):
                continue
            if self._is_within([own], pattern):
                lines = [left for one in lines for left in self._people.cut(one, deny.unless)]
                if len(lines) > MAX_LINES:
                    raise TooManyCombinations(f"more than {MAX_LINES} combinations of principals to tell apart")
            else:
                partly.append(PartialStop(own, deny.unless))
        parts = tuple(one.text for one in self._parts(pattern))
        is_all = contains([pattern], self._asked, self._budget.question())
        for left in map(self._people.plain, lines):
            stops = tuple(one for one in partly if list(self._people.cut(left, one.unless)) != [left])
            if self._has_somebody(left, pattern, stops):
                yield Holding(left, pattern, parts, is_all, stops)

    def _own(self, pattern: Pattern, who: AllOf) -> Pattern | None:
        """The pattern for clients that are all of `who`, with `${user}` filled in; None if nothing can fill it."""
        uses = {kind for kind in _VARIABLES if pattern.uses(kind)}
        if uses and ANONYMOUS in who:
            return None
        if SegmentKind.USER not in uses or not any(one.sort in ("user", "namespace") for one in who):
            return pattern
        values = {one.user_value for one in self._people.ways(who)}
        value = values.pop() if len(values) == 1 else UNNAMED
        if value == UNNAMED:
            return pattern
        return _filled(pattern, SegmentKind.USER, value) if is_path_component(value) else None

    def _parts(self, pattern: Pattern) -> tuple[Pattern, ...]:
        """Patterns for the names of the question that the pattern covers; itself if they cannot be spelled exactly."""
        common = intersection(pattern, self._asked, self._budget)
        both = ([pattern], [self._asked])
        exact = all(contains(outer, one, self._budget.question()) for one in common for outer in both)
        return common if exact else (pattern,)

    def _touches(self, patterns: Sequence[Pattern]) -> bool:
        """Whether all of the patterns cover a name of the question for the same client."""
        return escape_from([], [*patterns, self._asked], self._budget.question()) is not None

    def _is_within(self, outer: Sequence[Pattern], pattern: Pattern) -> bool:
        """Whether the outer ones cover every name of the question that the pattern covers."""
        return escape_from(outer, [pattern, self._asked], self._budget.question()) is None

    def _has_somebody(self, line: Line, pattern: Pattern, stops: Sequence[PartialStop]) -> bool:
        """Whether some client has access to some name."""
        if not stops:
            return self._people.has_somebody(line)
        required = (pattern, self._asked)
        for found in covered_names(required, [one.pattern for one in stops], budget=self._budget.question()):
            for own in (one for one in found.required if one.place == 0):
                covering = {one.place - len(required) for one in found.others if agree(own, one)}
                lines = [line]
                for place in sorted(covering):
                    lines = [left for one in lines for left in self._people.cut(one, stops[place].unless)]
                if any(self._people.has_somebody(self._people.plain(one)) for one in lines):
                    return True
        return False

    def _covers(self, wide: Holding, narrow: Holding) -> bool:
        """Whether the wide one has every client and name of the narrow one."""
        return (
            may_overlap(wide.pattern, narrow.pattern)
            and set(wide.stops) <= set(narrow.stops)
            and self._people.covers(wide.line, narrow.line)
            and self._is_within([wide.pattern], narrow.pattern)
        )


def _filled(pattern: Pattern, kind: SegmentKind, value: str) -> Pattern:
    """The pattern with a variable replaced by its value."""
    filled = Segment(SegmentKind.LITERAL, value)
    return pattern_of([filled if one.kind is kind else one for one in segments_of(pattern)])
