"""The access matrix: what each principal named in the rules may do on each pattern named in the rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tokenserver.patterns import Capture, Pattern, SegmentKind
from tokenserver.policy.analysis.conditions import ALWAYS, Given
from tokenserver.policy.analysis.containment import contains, escape_from, overlaps
from tokenserver.policy.analysis.product_search import segments_of
from tokenserver.policy.analysis.remainders import Remainder, escape_remainders
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.model import PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    ROBOTS,
    WORKLOADS,
    HypotheticalClient,
    client_for,
    listed,
)
from tokenserver.policy.queries.what_can import Cut, Reach, bound, spell_pattern, what_can
from tokenserver.policy.variables.filling import is_partial
from tokenserver.policy.variables.segment_automata import shortest_words
from tokenserver.policy.variables.values import values_of
from tokenserver.scopes import ACTIONS, in_order, is_path_component

LETTERS = {"pull": "p", "push": "P", "delete": "d", "*": "a"}
"""The letter for each action. The literal `*` is only shown on a registry's own resources."""

PARTLY = "*"
"""Marks an action granted only on a part of the pattern, or under a condition."""

FOR_SOME = "?"
"""Marks an action that only clients with certain user names or groups are granted."""

LEGEND = (
    "p pull, P push, d delete, a all of a registry's resource; * for a part of it, or under a condition\n"
    "? for some of them only, by their names or groups"
)
"""The letters and marks in words."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What one principal may do on one pattern: `always` and on all of it, or `partly`.

    `for_some`, among `partly`: not everybody whom the principal stands for, since it depends on the name or groups.
    """

    always: frozenset[str] = frozenset()
    partly: frozenset[str] = frozenset()
    for_some: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "".join(LETTERS[action] + self._mark(action) for action in in_order(self.always | self.partly))

    def _mark(self, action: str) -> str:
        if action in self.for_some:
            return FOR_SOME
        return PARTLY if action in self.partly else ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The matrix: `cells` has a row for each of `people`, with a cell for each of `repositories`."""

    people: tuple[Principal, ...]
    repositories: tuple[str, ...]
    cells: tuple[tuple[MatrixCell, ...], ...]


def people_named(policies: PolicySet) -> list[Principal]:
    """The rows: anonymous and authenticated clients, then every user, group, robot and workload named in a rule.

    A workload with more claims, of a rule with `when: {claims: …}`, is a row of its own. `robots` and `workloads` are
    rows where some are declared. Of the groups that a rule captures a part of, those of the tree are rows.
    """
    named = {
        principal
        for rule in policies.rules
        for principal in (*listed(rule.to), *listed(rule.excluded or Principals()))
        if principal.name
    }
    captures = {one for rule in policies.rules for pattern in rule.patterns for one in pattern.captures}
    named |= {
        Principal("group", name)
        for name in policies.groups.by_name
        if any(one.value(name) is not None for one in captures)
    }
    robots = [ROBOTS] if policies.robots else []
    workloads = [WORKLOADS] if policies.groups.workloads.by_name else []
    return [ANONYMOUS, AUTHENTICATED, *robots, *workloads, *sorted(named)]


def columns_named(policies: PolicySet, given: Given) -> list[tuple[Rule, Pattern]]:
    """The columns: every pattern in a rule for this registry, each once, with one such rule."""
    found: dict[tuple[str, str, tuple[Capture, ...]], tuple[Rule, Pattern]] = {}
    for rule in policies.rules:
        if rule.services is None or given.service in rule.services:
            for pattern in rule.patterns:
                found.setdefault((rule.resource_type, pattern.text, pattern.captures), (rule, pattern))
    return [found[key] for key in sorted(found, key=lambda key: (key[0] != "repository", *key[1:]))]


def matrix(
    policies: PolicySet,
    people: Iterable[Principal],
    columns: Collection[tuple[Rule, Pattern]],
    given: Given,
    budget: Budget | None = None,
) -> Matrix:
    """The matrix of these principals and patterns. Variables in a pattern are filled in for each principal.

    Raises:
        TooComplex: not decided within the budget (None: that of one command).
    """
    budget = budget or command_budget(policies.rule_count)
    people = tuple(people)
    cells = []
    for principal in people:
        who = client_for(policies, principal)
        reaches = what_can(policies, who, given, budget)
        cells.append(
            tuple(
                _cell(rule.resource_type, list(bound(pattern, who)), reaches, who, budget) for rule, pattern in columns
            )
        )
    return Matrix(people, tuple(_spell_column(rule, pattern) for rule, pattern in columns), tuple(cells))


def _spell_column(rule: Rule, pattern: Pattern) -> str:
    captured = f" of {' or '.join(rule.capturing)}" if rule.capturing else ""
    return f"{spell_pattern(rule.resource_type, pattern)}{captured}"


def _cell(
    type_: str, patterns: list[Pattern], reaches: Collection[Reach], who: HypotheticalClient, budget: Budget
) -> MatrixCell:
    budget.spend(1 + len(patterns) * len(reaches) // 4)
    meeting = [
        reach
        for reach in reaches
        if reach.rule.resource_type == type_
        and any(overlaps(one, reach.pattern, budget.question()) is not None for one in patterns)
    ]
    always, some, for_some = set(), set(), set()
    for action in ACTIONS:
        if action == "*" and type_ == "repository":
            continue
        giving = [reach for reach in meeting if action in reach.actions]
        if any(_leaves_some(one, reach, budget) for one in patterns for reach in giving):
            some.add(action)
            if all(_has_all(giving, one, budget) for one in patterns):
                always.add(action)
            elif not _is_for_every_name(patterns, giving, who, budget):
                for_some.add(action)
    return MatrixCell(frozenset(always), frozenset(some - always), frozenset(for_some))


def _is_for_every_name(
    patterns: Sequence[Pattern], giving: Sequence[Reach], who: HypotheticalClient, budget: Budget
) -> bool:
    """Whether a client of any name is left some of the reaches on the patterns; likewise of any group, if unknown.

    Names that no segment of a repository can have do not count.
    """
    names = [one for reach in giving for one in (reach.names, *(cut.names for cut in reach.cuts))]
    involved = [*patterns, *(one for each in names for one in (each.pattern, *each.without))]
    depends_on_user = who.is_open and any(pattern.uses(SegmentKind.USER) for pattern in involved)
    depends_on_group = (
        who.is_unnamed and not who.groups and any(pattern.uses(SegmentKind.GROUP) for pattern in involved)
    )
    if not depends_on_user and not depends_on_group:
        return True
    if any(map(is_partial, involved)):
        values = values_of(involved, budget=budget)
        names_of_users, names_of_groups = values.users, values.groups
    else:
        names_of_users = names_of_groups = [*_distinguished(involved, budget)]
    users = names_of_users if depends_on_user else [who.identity.namespace]
    groups = [frozenset({name}) for name in names_of_groups] if depends_on_group else [who.groups]
    budget.spend(len(users) * len(groups))
    clients = (HypotheticalClient(replace(who.identity, namespace=user), group) for user in users for group in groups)
    return all(_is_left(patterns, giving, client, budget) for client in clients)


def _distinguished(patterns: Iterable[Pattern], budget: Budget) -> Iterator[str]:
    """Names of users or groups, one for each class that the patterns distinguish."""
    segments = {segment for pattern in patterns for segment in segments_of(pattern)}
    literals = {one.text for one in segments if one.kind is SegmentKind.LITERAL and is_path_component(one.text)}
    globs = {one.text for one in segments if one.kind is SegmentKind.GLOB and ":" not in one.text}
    yield from sorted(literals)
    for words in shortest_words(globs, literals, 2, budget.question()):
        yield from (word for word in words if word not in literals)


def _is_left(patterns: Iterable[Pattern], giving: Iterable[Reach], who: HypotheticalClient, budget: Budget) -> bool:
    """Whether this user is left some of the reaches on the patterns."""
    asked = [one for pattern in patterns for one in bound(pattern, who)]
    for reach in giving:
        cuts = [Remainder(one, cut.without) for cut in _lasting(reach) for one in bound(cut.pattern, who)]
        cuts += map(Remainder, reach.without)
        for one in bound(reach.pattern, who):
            if any(escape_remainders(cuts, [each, one], budget.question()) is not None for each in asked):
                return True
    return False


def _leaves_some(pattern: Pattern, reach: Reach, budget: Budget) -> bool:
    """Whether the cuts leave any name of the reach on the pattern, for one and the same client."""
    cuts = [*(cut.names for cut in _lasting(reach)), *map(Remainder, reach.without)]
    return escape_remainders(cuts, [pattern, reach.pattern], budget.question()) is not None


def _lasting(reach: Reach) -> list[Cut]:
    """The cuts that do not depend on circumstances."""
    return [cut for cut in reach.cuts if cut.when == ALWAYS]


def _is_whole(reach: Reach, pattern: Pattern, budget: Budget) -> bool:
    """Whether the reach has no cut on the pattern and no open condition."""
    return reach.when == ALWAYS and not any(_is_cut(cut, pattern, budget) for cut in reach.cuts)


def _is_cut(cut: Cut, pattern: Pattern, budget: Budget) -> bool:
    """Whether the cut removes a name of the pattern."""
    if overlaps(cut.pattern, pattern, budget.question()) is None:
        return False
    return not cut.without or escape_from(cut.without, [cut.pattern, pattern], budget.question()) is not None


def _has_all(reaches: Iterable[Reach], pattern: Pattern, budget: Budget) -> bool:
    """Whether the reaches that are whole on the pattern together have all of it."""
    names = [one.names for one in reaches if _is_whole(one, pattern, budget)]
    if not any(one.without for one in names):
        return contains([one.pattern for one in names], pattern, budget.question())
    return escape_remainders(names, [pattern], budget.question()) is None
