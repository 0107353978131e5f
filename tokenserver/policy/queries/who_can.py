"""The answer to "who can?" in full: principals with access to one action, with their conditions and exceptions.

Each allow rule yields a line for each of its principals; each deny rule then cuts each line. The lines cover exactly
the clients to which a decision would grant the action. Conditions are kept as conditions.

This is the only engine: the command, the tests in policy files and the short answer of `summary` are all based on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.conditions import ALWAYS, Given, are_apart, implies, left_open
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.index import is_taken_away
from tokenserver.policy.model import Condition, Effect, PolicySet, Principal, Principals, Rule
from tokenserver.policy.patterns import Pattern
from tokenserver.policy.principals import AllOf, includes, kinds_of, listed, parted
from tokenserver.policy.queries.witnesses import TooManyCombinations, entries_about, examples
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import Resource

MAX_LINES = 2_000
LINE_STEPS = 4
"""The cost of comparing two lines."""

_NOBODY: AllOf = frozenset()


@dataclass(frozen=True, slots=True)
class Unless:
    """The clients of a line that a deny rule stops: all of `who` and none of `excepted`, while `when` holds."""

    who: AllOf
    excepted: AllOf
    when: Condition
    rule: str


@dataclass(frozen=True, slots=True)
class Line:
    """Clients with access: all of `who` and none of `excepted`, while `when` holds and no `unless` stops them."""

    who: AllOf
    excepted: AllOf
    when: Condition
    rule: str
    unless: frozenset[Unless] = frozenset()

    @property
    def conditions(self) -> list[Condition]:
        """The condition of the line, and those of the deny rules that cut it."""
        return [self.when, *(one.when for one in self.unless)]


def holders(
    policies: PolicySet, action: str, resource: Resource, given: Given, budget: Budget | None = None
) -> tuple[Line, ...]:
    """The clients that can do `action` on `resource`, as lines in a fixed order, none covered by another.

    Raises:
        TooManyCombinations: the rules combine in more than `MAX_LINES` ways.
        TooComplex: not decided within the budget (None: that of one command).
    """
    budget = budget or command_budget(policies.rule_count)
    people = People(policies, budget)
    lines: list[Line] = []
    cuts: list[Unless] = []
    for rule, pattern in dict.fromkeys(entries_about(policies, resource)):
        if rule.decides(action):
            for who, when in _meant(people, rule, pattern, resource, given):
                excepted = frozenset(parted(listed(rule.excluded or Principals())))
                if rule.effect is Effect.ALLOW:
                    lines.append(Line(who, excepted, when, rule.id))
                else:
                    cuts.append(Unless(who, excepted, when, rule.id))
    for cut in sorted(set(cuts), key=_order):
        budget.spend(LINE_STEPS * len(lines))
        lines = [left for line in lines for left in people.cut(line, cut)]
        if len(lines) > MAX_LINES:
            raise TooManyCombinations(f"more than {MAX_LINES} combinations of principals to tell apart")
    lines = [people.plain(line) for line in lines]
    lines = sorted({line for line in lines if people.has_somebody(line)}, key=_order)
    kept: list[Line] = []
    for line in lines:
        budget.spend(LINE_STEPS * len(kept))
        if not any(people.covers(other, line) for other in kept):
            kept = [*(other for other in kept if not people.covers(line, other)), line]
    return tuple(kept)


def _order(line: Line | Unless) -> tuple[int, list[Principal], list[Principal], str, str]:
    return len(line.who), sorted(line.who), sorted(line.excepted), repr(line.when), line.rule


def _meant(
    people: People, rule: Rule, pattern: Pattern, resource: Resource, given: Given
) -> Iterator[tuple[AllOf, Condition]]:
    """The principals to which the rule applies on this resource, with its open condition for them."""
    segments = resource.name.split("/")
    if is_taken_away(rule, segments):
        return
    bindings = [
        frozenset(Principal(sort, name) for sort, name in ((people.filler, user), ("group", group)) if name)
        for user, group in readings(pattern, segments)
    ]
    for principal in parted(listed(rule.to)):
        when = left_open(rule, kinds_of(people.policies, principal), given)
        for binding in bindings if when is not None else ():
            # A member of a captured group is authenticated, which need not be said.
            who = binding if rule.capturing else binding | {principal}
            if when is not None and people.ways(who):
                yield who, when


class People:
    """Reasoning over sets of principals: what a client is that is certain principals, in this policy set."""

    def __init__(self, policies: PolicySet, budget: Budget | None = None) -> None:
        self.policies = policies
        self.budget = budget or command_budget(policies.rule_count)
        self.ways: Callable[[AllOf], list[Identity]] = cache(lambda who: examples(policies, who, Kind.PASSWORD))
        """The simplest identities that are all of `who`; every such client is one of them, perhaps with more groups."""
        self.filler = "user" if policies.namespaces is None else "namespace"
        """The sort of the principal that a value of `${user}` stands for."""
        self._includes: Callable[[Principal, Identity], bool] = cache(
            lambda principal, identity: includes(principal, identity, policies.groups.holding(identity))
        )

    def cut(self, line: Line, cut: Unless) -> Iterator[Line]:
        """What is left of the line without the clients that the deny stops."""
        if not self.ways(line.who | cut.who) or are_apart(line.when, cut.when):
            yield line
            return
        if any(self.follows(line.who, one) for one in cut.excepted):
            yield line
            return
        is_certain = implies(line.when, cut.when)
        is_for_all = all(self.follows(line.who, one) for one in cut.who)
        if is_certain and is_for_all:
            for one in sorted(cut.excepted):
                if self.ways(line.who | {one}):
                    yield replace(line, who=line.who | {one})
        elif is_certain and not cut.excepted and len(cut.who) == 1:
            yield replace(line, excepted=line.excepted | cut.who)
        else:
            who = _NOBODY if is_for_all else cut.who
            when = ALWAYS if is_certain else cut.when
            yield replace(line, unless=line.unless | {replace(cut, who=who, when=when)})

    def plain(self, line: Line) -> Line:
        """The line without redundant principals, and without exceptions that none of its clients can be."""
        who = line.who
        for one in sorted(line.who):  # the broad ones come first
            if len(who) > 1 and self.follows(who - {one}, one):
                who -= {one}
        excepted = frozenset(one for one in line.excepted if self.ways(who | {one}))
        return replace(line, who=who, excepted=excepted)

    def has_somebody(self, line: Line) -> bool:
        """Whether the line has any client while no condition excludes it. Raises as `able`."""
        return next(self.able(line), None) is not None

    def able(self, line: Line) -> Iterator[tuple[AllOf, Identity]]:
        """The simplest identities with access by this line while no condition excludes them, and their principals.

        Every client with access by this line is like one of them, possibly with more groups.

        Raises:
            TooComplex: not decided within the budget.
        """
        pending, seen = {line.who}, set[AllOf]()
        while pending:
            self.budget.spend(LINE_STEPS * len(pending))
            seen |= pending
            following: set[AllOf] = set()
            for who in sorted(pending, key=sorted):
                for identity in self.ways(who):
                    if any(self.is_one(identity, one) for one in line.excepted):
                        continue
                    stopping = next((one for one in line.unless if self._stops(one, identity)), None)
                    if stopping is None:
                        yield who, identity
                    else:
                        following |= {who | {one} for one in stopping.excepted}
            pending = following - seen

    def is_one(self, identity: Identity, principal: Principal) -> bool:
        """Whether the identity is the principal."""
        return self._includes(principal, identity)

    def covers(self, wide: Line, narrow: Line) -> bool:
        """Whether every client of `narrow` is one of `wide`."""
        return (
            all(self.follows(narrow.who, one) for one in wide.who)
            and all(one in narrow.excepted or not self.ways(narrow.who | {one}) for one in wide.excepted)
            and implies(narrow.when, wide.when)
            and wide.unless <= narrow.unless
        )

    def follows(self, who: AllOf, principal: Principal) -> bool:
        """Whether every client that is all of `who` is `principal` as well."""
        return all(self._includes(principal, identity) for identity in self.ways(who))

    def _stops(self, unless: Unless, identity: Identity) -> bool:
        return (
            unless.when == ALWAYS
            and all(self._includes(one, identity) for one in unless.who)
            and not any(self._includes(one, identity) for one in unless.excepted)
        )
