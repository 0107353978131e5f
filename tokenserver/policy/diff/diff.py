"""Policy diff: the effective access that a change of policies grants and removes, with a witness for each row.

The answer is complete: everything that any identity can do in one tree and not in the other, on any name, from any
address and at any time from now on, is in some row. Every row's witness was decided in both trees like a real client.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, combinations
from typing import Any

from tokenserver.identity import Identity
from tokenserver.policy.analysis.containment import contains, overlaps
from tokenserver.policy.analysis.pattern_index import PatternIndex
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.decide import decide
from tokenserver.policy.diff.claims import ANONYMOUS, AUTHENTICATED, Claim, Who, changed_claims
from tokenserver.policy.diff.near_rules import Cause, captured
from tokenserver.policy.diff.search import Search
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.model import Context, Effect, PolicySet, Principal
from tokenserver.policy.patterns import Pattern
from tokenserver.scopes import ACTIONS, Resource, Scope

STRANGER = "Somebody"
"""The name of an arbitrary user. No pattern matches it, since repository names are lower case."""


@dataclass(frozen=True, slots=True)
class DiffRow:
    """Clients that are all of `who` gain (or lose) `action` on the names that `pattern` covers, or on some of them.

    No pattern of `without` covers one of these names. `when` holds the circumstances in which that is so; empty: in
    all. The witness is `identity`, which shows the difference on the resource `name` in `context`. `rules` are those
    that cause it, with their files and lines.
    """

    who: Who
    action: str
    resource_type: str
    pattern: Pattern
    when: Mapping[str, Any]
    name: str
    identity: Identity
    context: Context
    rules: tuple[str, ...]
    without: tuple[Pattern, ...] = ()

    @property
    def circumstances(self) -> str:
        """`when` in a form that can be compared and sorted."""
        return str(sorted(self.when.items()))

    @property
    def people(self) -> Who:
        """`who` without `authenticated`, which every user and group implies. Fewer principals mean more people."""
        return self.who - {AUTHENTICATED}


@dataclass(frozen=True, slots=True)
class LifetimeDifference:
    """The token lifetime limit of a delegated file in both trees, in seconds (None: the registry's own limit)."""

    file: str
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that two policy trees grant differently, and the files whose token lifetime limit differs."""

    gains: tuple[DiffRow, ...]
    losses: tuple[DiffRow, ...]
    lifetimes: tuple[LifetimeDifference, ...] = ()


def diff(old: PolicySet, new: PolicySet, now: datetime, budget: Budget | None = None) -> Difference:
    """What `new` grants and `old` does not, and vice versa, from the aware time `now` on.

    Raises:
        TooComplex: not decided within the budget (None: that of one command). There is no partial answer.
    """
    budget = budget or command_budget(old.rule_count + new.rule_count)
    lost, gained = changed_claims(old, new)
    names = frozenset(chain(_names(old), _names(new)))
    names |= captured(names, (pattern for tree in (old, new) for rule in tree.rules for pattern in rule.patterns))
    stranger = STRANGER
    while stranger in names:
        stranger += "'"
    before, after = Tree(old), Tree(new)
    return Difference(
        _rows(before, after, lost, gained, Search(before, after, stranger, names, now, budget), budget),
        _rows(after, before, gained, lost, Search(after, before, stranger, names, now, budget), budget),
        _lifetimes(old, new),
    )


def _lifetimes(old: PolicySet, new: PolicySet) -> tuple[LifetimeDifference, ...]:
    """The files of both trees whose limit differs. All rules of a file share one limit."""
    before, after = (
        {rule.file: rule.max_lifetime for rule in tree.rules if rule.effect is Effect.ALLOW} for tree in (old, new)
    )
    return tuple(
        LifetimeDifference(file, before[file], after[file])
        for file in sorted(before.keys() & after.keys())
        if before[file] != after[file]
    )


def _rows(  # noqa: PLR0917 - one direction of a comparison
    before: Tree, after: Tree, lost: list[Claim], gained: list[Claim], search: Search, budget: Budget
) -> tuple[DiffRow, ...]:
    """What `after` grants and `before` does not."""
    found: list[DiffRow] = []
    for cause in search.causes(lost, gained):
        rules = _rules(cause)
        try:
            circumstances, by_people = search.differences(cause)
        except TooComplex as error:
            raise TooComplex(f"{error} ({cause.required[-1].text} by {', '.join(rules)})") from error
        allow, without = cause.allow, _without(cause, budget)
        for who, by_cell in by_people.items():
            for when, cell, witness in circumstances.merged(by_cell):
                resource = Resource(allow.rule.resource_type, witness.name)
                scope = Scope(resource, frozenset({allow.action}))
                is_granted = [
                    allow.action in decide(tree.policies, witness.identity, scope, cell.context).granted
                    for tree in (before, after)
                ]
                assert is_granted == [False, True], (witness, cell)  # noqa: S101 - otherwise the search has a bug
                found.append(
                    DiffRow(
                        _spelled(who),
                        allow.action,
                        resource.type,
                        cause.required[-1],
                        when,
                        witness.name,
                        witness.identity,
                        cell.context,
                        rules,
                        without,
                    )
                )
    return tuple(sorted(_without_covered(found, budget), key=_order))


def _without(cause: Cause, budget: Budget) -> tuple[Pattern, ...]:
    """The patterns of its rules' `not` that cover some of the names in question, or that may do so."""
    names = cause.required[-1]
    return tuple(sorted((one for one in cause.without if _may_meet(one, names, budget)), key=lambda one: one.text))


def _may_meet(one: Pattern, other: Pattern, budget: Budget) -> bool:
    """Whether a name that both cover is known or cannot be excluded."""
    try:
        return overlaps(one, other, budget.question()) is not None
    except TooComplex:
        if budget.is_spent:
            raise
        return True


def _rules(cause: Cause) -> tuple[str, ...]:
    claims = [cause.allow, *([cause.deny] if cause.deny is not None else [])]
    return tuple(f"{claim.rule.id} ({claim.rule.file}:{claim.rule.line})" for claim in claims)


def _spelled(who: Who) -> Who:
    """Without `authenticated` where another principal implies it."""
    return who - {AUTHENTICATED} or who


def _without_covered(rows: Iterable[DiffRow], budget: Budget) -> list[DiffRow]:
    """The rows that no other row covers, for the same or more people and on the same or more names."""
    by_kind: dict[tuple[str, str, str, Who], list[DiffRow]] = {}
    ordered = sorted(rows, key=lambda row: (len(row.people), len(row.pattern.text), _order(row)))
    for row in ordered:
        by_kind.setdefault((row.action, row.resource_type, row.circumstances, row.people), []).append(row)
    indexes = {kind: PatternIndex([row.pattern for row in same]) for kind, same in by_kind.items()}
    covered: set[int] = set()  # by identity: rows are compared slowly
    for row in reversed(ordered):
        others = [
            other
            for fewer in _subsets(row.people)
            for kind in [(row.action, row.resource_type, row.circumstances, fewer)]
            if kind in indexes
            for other in map(by_kind[kind].__getitem__, indexes[kind].meeting(row.pattern))
            if other is not row and id(other) not in covered
        ]
        whole = [other.pattern for other in others if _has_all(other, row, budget)]
        if contains([*whole, *row.without], row.pattern, budget.question()):
            covered.add(id(row))
    return [row for row in reversed(ordered) if id(row) not in covered]


def _has_all(other: DiffRow, row: DiffRow, budget: Budget) -> bool:
    """Whether no name of `row` is certainly among those that `other` leaves out."""
    return all(
        contains(row.without, part, budget.question()) or not _may_meet(part, row.pattern, budget)
        for part in other.without
    )


def _subsets(who: Who) -> Iterable[Who]:
    if ANONYMOUS in who:
        return [who]
    return (frozenset(some) for count in range(len(who) + 1) for some in combinations(who, count))


def _order(row: DiffRow) -> tuple[Any, ...]:
    return (
        *(row.resource_type, row.pattern.text, [str(one) for one in sorted(row.who)], ACTIONS.index(row.action)),
        *(row.circumstances, row.name, row.rules, [one.text for one in row.without]),
    )


def _names(policies: PolicySet) -> Iterable[str]:
    """The names of all users and groups in a tree."""
    for rule in policies.rules:
        for people in (rule.to, rule.excluded):
            if people is not None:
                yield from people.users
                yield from people.groups
    for group in policies.groups.by_name.values():
        yield group.name
        yield from group.users
        yield from group.groups


def spell_who(who: Collection[Principal]) -> str:
    """The principals of `who`, in words: clients that are all of them."""
    return " & ".join(map(_spell, sorted(who)))


def _spell(one: Principal) -> str:
    if one.sort == "capture":
        return f"group:{one.name}"
    return f"directory group {one.name}" if one.sort == "directory" else str(one)
