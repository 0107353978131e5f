"""The answer to "who can?" in full: principals with access to one action, with their conditions and exceptions.

Each allow rule yields a line for each of its principals; each deny rule then cuts each line. The lines cover exactly
the clients to which a decision would grant the action. Conditions are kept as conditions.

This is the only engine: the command, the tests in policy files and the short answer of `summary` are all based on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.conditions import ALWAYS, Given, are_apart, implies, left_open
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.index import is_taken_away
from tokenserver.policy.model import Condition, Effect, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import (
    PARTS,
    ROBOTS,
    WORKLOADS,
    AllOf,
    includes,
    listed,
    part_of,
    parted,
)
from tokenserver.policy.queries.witnesses import (
    Machines,
    TooManyCombinations,
    all_machines,
    bindings_of,
    entries_about,
    examples,
    machines_about,
)
from tokenserver.scopes import Resource

MAX_LINES = 2_000
LINE_STEPS = 4
"""The cost of comparing two lines."""

_NOBODY: AllOf = frozenset()
_MACHINES = ("robot", "robots", "workload", "workloads")


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

    @property
    def named(self) -> AllOf:
        """The principals that the line is about."""
        return self.who.union(self.excepted, *(one.who | one.excepted for one in self.unless))


def holders(
    policies: PolicySet, action: str, resource: Resource, given: Given, budget: Budget | None = None
) -> tuple[Line, ...]:
    """The clients that can do `action` on `resource`, as lines in a fixed order, none covered by another.

    Raises:
        TooManyCombinations: the rules combine in more than `MAX_LINES` ways.
        TooComplex: not decided within the budget (None: that of one command).
    """
    budget = budget or command_budget(policies.rule_count)
    people = People(policies, budget, machines_about(policies, resource))
    lines: list[Line] = []
    cuts: list[Unless] = []
    segments = resource.name.split("/")
    for rule, pattern in dict.fromkeys(entries_about(policies, resource)):
        if not rule.decides(action) or is_taken_away(rule, segments):
            continue
        for who, excepted, when in people.meant(rule, bindings_of(policies, pattern, segments), given):
            if rule.effect is Effect.ALLOW:
                lines.append(Line(who, excepted, when, rule.id))
            else:
                cuts.append(Unless(who, excepted, when, rule.id))
    for cut in sorted(set(cuts), key=order_of):
        budget.spend(LINE_STEPS * len(lines))
        lines = [left for line in lines for left in people.cut(line, cut)]
        if len(lines) > MAX_LINES:
            raise TooManyCombinations(f"more than {MAX_LINES} combinations of principals to tell apart")
    lines = [people.plain(line) for line in lines]
    lines = sorted({line for line in lines if people.has_somebody(line)}, key=order_of)
    kept: list[Line] = []
    for line in lines:
        budget.spend(LINE_STEPS * len(kept))
        if not any(people.covers(other, line) for other in kept):
            kept = [*(other for other in kept if not people.covers(line, other)), line]
    return tuple(kept)


def order_of(line: Line | Unless) -> tuple[int, list[Principal], list[Principal], str, str]:
    """The key by which lines are sorted."""
    return len(line.who), sorted(line.who), sorted(line.excepted), repr(line.when), line.rule


class People:
    """Reasoning over sets of principals: what a client is that is certain principals, in this policy set.

    `machines` are those to try (None: all); they limit which principals can be asked about.
    """

    def __init__(self, policies: PolicySet, budget: Budget | None = None, machines: Machines | None = None) -> None:
        self.policies = policies
        self.budget = budget or command_budget(policies.rule_count)
        machines = machines or all_machines(policies)
        self.ways: Callable[[AllOf], list[Identity]] = cache(
            lambda who: examples(policies, who, Kind.PASSWORD, machines)
        )
        """The simplest identities that are all of `who`; every such client is one of them, perhaps with more groups."""
        self._includes: Callable[[Principal, Identity], bool] = cache(
            lambda principal, identity: includes(principal, identity, policies.groups.holding(identity))
        )

    def parts(self, who: AllOf) -> frozenset[Principal]:
        """The parts of everyone in which there are clients that are all of `who`."""
        return frozenset(map(part_of, self.ways(who)))

    def meant(self, rule: Rule, bindings: Iterable[AllOf], given: Given) -> Iterator[tuple[AllOf, AllOf, Condition]]:
        """The principals to which the rule applies, its exceptions of them, and its open condition for them.

        Each binding has principals that the values of the pattern's variables demand.
        """
        for principal in parted(listed(rule.to)):
            for binding in bindings:
                # A member of a captured group is authenticated, which need not be said.
                who = binding if rule.capturing else binding | {principal}
                for part, when in self.applied(rule, who, given):
                    excepted = self.exceptions(rule, part)
                    if excepted is not None:
                        yield part, excepted, when

    def applied(self, rule: Rule, who: AllOf, given: Given) -> Iterator[tuple[AllOf, Condition]]:
        """Those of `who` to whom the rule applies with its `kind`, and the condition that is open for them."""
        parts = self.parts(who)
        found = {part: left_open(rule, PARTS[part], given) for part in sorted(parts)}
        conditions = {part: when for part, when in found.items() if when is not None}
        if len(conditions) == len(parts) and len(set(conditions.values())) == 1:
            yield who, next(iter(conditions.values()))
        else:
            yield from ((who | {part}, when) for part, when in conditions.items())

    def exceptions(self, rule: Rule, who: AllOf) -> AllOf | None:
        """What the rule excepts of the clients that are all of `who`; None: each of them."""
        found = self._possible(who, parted(listed(rule.excluded or Principals())))
        return None if any(self.follows(who, one) for one in found & PARTS.keys()) else found

    def _possible(self, who: AllOf, principals: Iterable[Principal]) -> AllOf:
        """The principals, without those about machines that no client can be which is all of `who`."""
        return frozenset(one for one in principals if not self._is_about_machines(who, one) or self.ways(who | {one}))

    def _is_about_machines(self, who: AllOf, principal: Principal) -> bool:
        return principal.sort in _MACHINES or self.parts(who) <= {ROBOTS, WORKLOADS}

    def cut(self, line: Line, cut: Unless) -> Iterator[Line]:
        """What is left of the line without the clients that the deny stops."""
        both = line.who | cut.who
        if not self.ways(both) or are_apart(line.when, cut.when):
            yield line
            return
        excepted = self._possible(both, cut.excepted)
        if any(self.follows(line.who, one) for one in excepted):
            yield line
            return
        who = frozenset(
            one for one in cut.who if not (self._is_about_machines(line.who, one) and self.follows(line.who, one))
        )
        is_certain = implies(line.when, cut.when)
        is_for_all = all(self.follows(line.who, one) for one in who)
        if is_certain and is_for_all:
            for one in sorted(excepted):
                if self.ways(line.who | {one}):
                    yield replace(line, who=line.who | {one})
        elif is_certain and not excepted and len(who) == 1:
            yield replace(line, excepted=line.excepted | who)
        elif is_certain and len(who) == 1 and who <= PARTS.keys():
            yield replace(line, excepted=line.excepted | who)
            yield from self.cut(replace(line, who=line.who | who), cut)
        else:
            who = _NOBODY if is_for_all else who
            when = ALWAYS if is_certain else cut.when
            yield replace(line, unless=line.unless | {replace(cut, who=who, excepted=excepted, when=when)})

    def plain(self, line: Line) -> Line:
        """The line without redundant principals, and without exceptions that none of its clients can be."""
        who = line.who
        for one in sorted(line.who, key=lambda one: (bool(one.name), one)):  # the broad ones come first
            if len(who) > 1 and self.follows(who - {one}, one):
                who -= {one}
        excepted = frozenset(one for one in line.excepted if self.ways(who | {one}))
        broad = excepted & PARTS.keys()
        excepted = frozenset(one for one in excepted if one in broad or not self.parts(who | {one}) <= broad)
        left = replace(line, who=who, excepted=excepted)
        return replace(left, unless=self.plain_unless(left))

    def plain_unless(self, line: Line) -> frozenset[Unless]:
        """The deny rules of the line without those for parts that are not in it, each once if it is for all parts."""
        parts = self.parts(line.who) - line.excepted
        found = {one for one in line.unless if one.who & PARTS.keys() <= parts}
        for one in sorted(found, key=order_of):
            alike = {
                part for part in found if (part.rule, part.when) == (one.rule, one.when) and _NOBODY < part.who <= parts
            }
            excepted = frozenset(each for part in alike for each in part.excepted)
            if parts == {each for part in alike for each in part.who} and all(
                part.excepted == self._possible(line.who | part.who, excepted) for part in alike
            ):
                found = found - alike | {replace(one, who=_NOBODY, excepted=excepted)}
        return frozenset(found)

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
        left = self._left(narrow)
        return (
            all(self._includes(one, identity) for one in wide.who for identity in left)
            and all(one in narrow.excepted or not self._left(narrow, {one}) for one in wide.excepted)
            and implies(narrow.when, wide.when)
            and all(one in narrow.unless or not self._left(narrow, one.who & PARTS.keys()) for one in wide.unless)
        )

    def _left(self, line: Line, more: Iterable[Principal] = ()) -> list[Identity]:
        """The simplest identities of the line that are `more` as well, without the parts that it excepts."""
        return [one for one in self.ways(line.who.union(more)) if part_of(one) not in line.excepted]

    def follows(self, who: AllOf, principal: Principal) -> bool:
        """Whether every client that is all of `who` is `principal` as well."""
        return all(self._includes(principal, identity) for identity in self.ways(who))

    def _stops(self, unless: Unless, identity: Identity) -> bool:
        return (
            unless.when == ALWAYS
            and all(self._includes(one, identity) for one in unless.who)
            and not any(self._includes(one, identity) for one in unless.excepted)
        )
