"""Rows of a diff: who gains or loses what, in words, and which rows say no more than others."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tokenserver.identity import Identity, Kind, Sort
from tokenserver.patterns import Pattern
from tokenserver.policy.analysis.containment import contains, overlaps
from tokenserver.policy.analysis.pattern_index import PatternIndex
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.diff.changed_names import Who
from tokenserver.policy.diff.machines import CLASSES
from tokenserver.policy.machines.workloads import base_of, shown_workload
from tokenserver.policy.model import Context, PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, ROBOTS, WORKLOADS, kinds_of
from tokenserver.scopes import ACTIONS

_SETS = CLASSES | {AUTHENTICATED}


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
    def named(self) -> Who:
        """`who` without sets of all people or machines of one sort. Fewer principals mean more clients of that sort."""
        return self.who - _SETS


def uncovered(rows: Iterable[DiffRow], budget: Budget) -> Iterator[DiffRow]:
    """The rows that say something that no other row says.

    Raises:
        TooComplex: the whole budget is spent.
    """
    return _without_repeated(_without_covered(rows, budget))


def may_meet(one: Pattern, other: Pattern, budget: Budget) -> bool:
    """Whether a name that both cover is known or cannot be excluded."""
    try:
        return overlaps(one, other, budget.question()) is not None
    except TooComplex:
        if budget.is_spent:
            raise
        return True


def spelled(who: Who, identity: Identity, trees: Sequence[PolicySet]) -> Who:
    """With a set of all people or machines only where no other principal implies it; groups imply people."""
    named = who - _SETS
    if not named or identity.sort is Sort.USER or any(_is_machine(one, identity.kind, trees) for one in named):
        return named or who
    return named | {ROBOTS if identity.sort is Sort.ROBOT else WORKLOADS}


def _is_machine(principal: Principal, kind: Kind, trees: Sequence[PolicySet]) -> bool:
    """Whether all clients that are this principal have this kind of credential, which only machines have."""
    if principal.sort != "group":
        return principal.sort in ("robot", "workload")
    kinds = (kinds_of(tree, principal) for tree in trees if principal.name in tree.groups.by_name)
    return frozenset[Kind]().union(*kinds) == {kind}


def _without_covered(rows: Iterable[DiffRow], budget: Budget) -> list[DiffRow]:
    """The rows that no other row covers, for the same or more people and on the same or more names."""
    by_kind: dict[tuple[str, str, str, Sort, Who], list[DiffRow]] = {}
    ordered = sorted(rows, key=lambda row: (len(row.named), len(row.pattern.text), order(row)))
    for row in ordered:
        by_kind.setdefault(_kind_of(row, row.named), []).append(row)
    indexes = {kind: PatternIndex([row.pattern for row in same]) for kind, same in by_kind.items()}
    covered: set[int] = set()  # by identity: rows are compared slowly
    for row in reversed(ordered):
        others = [
            other
            for fewer in _subsets(row.named)
            for kind in [_kind_of(row, fewer)]
            if kind in indexes
            for other in map(by_kind[kind].__getitem__, indexes[kind].meeting(row.pattern))
            if other is not row and id(other) not in covered
        ]
        whole = [other.pattern for other in others if _has_all(other, row, budget)]
        if contains([*whole, *row.without], row.pattern, budget.question()):
            covered.add(id(row))
    return [row for row in reversed(ordered) if id(row) not in covered]


def _kind_of(row: DiffRow, named: Who) -> tuple[str, str, str, Sort, Who]:
    """What rows have in common of which one can cover the other, with these principals."""
    return row.action, row.resource_type, row.circumstances, row.identity.sort, named


def _without_repeated(rows: list[DiffRow]) -> Iterator[DiffRow]:
    """The rows without those about the machines of a group where another row has the whole group."""
    told = {_content(row, row.who) for row in rows}
    for row in rows:
        of_whole = row.who - CLASSES
        if of_whole == row.who or not of_whole or _content(row, of_whole) not in told:
            yield row


def _content(row: DiffRow, who: Who) -> Hashable:
    """What a row says, about these clients."""
    return row.action, row.resource_type, row.circumstances, row.pattern.text, row.without, who


def _has_all(other: DiffRow, row: DiffRow, budget: Budget) -> bool:
    """Whether no name of `row` is certainly among those that `other` leaves out."""
    return all(
        contains(row.without, part, budget.question()) or not may_meet(part, row.pattern, budget)
        for part in other.without
    )


def _subsets(who: Who) -> Iterable[Who]:
    if ANONYMOUS in who:
        return [who]
    return (frozenset(some) for count in range(len(who) + 1) for some in combinations(who, count))


def order(row: DiffRow) -> tuple[Any, ...]:
    return (
        *(row.resource_type, row.pattern.text, [str(one) for one in sorted(row.who)], ACTIONS.index(row.action)),
        *(row.circumstances, row.name, row.rules, [one.text for one in row.without]),
    )


def spell_who(who: Collection[Principal]) -> str:
    """The principals of `who`, in words: clients that are all of them."""
    return " & ".join(map(spell_one, sorted(who)))


def spell_one(one: Principal) -> str:
    """One principal in words; a directory group is no group of the tree."""
    if one.sort == "capture":
        return f"group:{one.name}"
    if one.sort == "directory":
        return f"directory group {one.name}"
    of_any = one.sort == "workload" and not base_of(one.name)
    return f"workloads{shown_workload(one.name)}" if of_any else str(one)
