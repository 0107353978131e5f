"""Policy diff: the effective access that a change of policies grants and removes, with a witness for each row.

The answer is complete: everything that any identity can do in one tree and not in the other, on any name, from any
address and at any time from now on, is in some row. Every row's witness was decided in both trees like a real client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from tokenserver.patterns import Pattern
from tokenserver.policy.administration import AdministratorChange, OwnerChange, changed_administrators, changed_owners
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.decide import decide
from tokenserver.policy.diff.changed_names import Who, changed_names
from tokenserver.policy.diff.claim_values import ClaimValues
from tokenserver.policy.diff.claims import Claim, changed_claims, listed
from tokenserver.policy.diff.machines import TreeMachines, distinguished_robots
from tokenserver.policy.diff.near_rules import Cause, captured
from tokenserver.policy.diff.rows import DiffRow, may_meet, order, spelled, uncovered
from tokenserver.policy.diff.search import Search
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload, base_of
from tokenserver.policy.model import Effect, PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, ROBOTS, WORKLOADS, group_of, subject_of
from tokenserver.scopes import Resource, Scope

STRANGER = "Somebody"
"""The name of an arbitrary user. No pattern matches it, since repository names are lower case."""


@dataclass(frozen=True, slots=True)
class LifetimeDifference:
    """The token lifetime limit of a delegated file in both trees, in seconds (None: the registry's own limit)."""

    file: str
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that two policy trees grant differently, and the files whose token lifetime limit differs.

    `parts` are the principals that `everyone` means in these trees. `new_administrators` administer by the new tree
    only, `former_administrators` by the old one only; and so do `new_owners` and `former_owners` manage robots.
    """

    gains: tuple[DiffRow, ...]
    losses: tuple[DiffRow, ...]
    lifetimes: tuple[LifetimeDifference, ...] = ()
    parts: Who = frozenset({ANONYMOUS, AUTHENTICATED})
    new_administrators: tuple[AdministratorChange, ...] = ()
    former_administrators: tuple[AdministratorChange, ...] = ()
    new_owners: tuple[OwnerChange, ...] = ()
    former_owners: tuple[OwnerChange, ...] = ()

    @property
    def adds(self) -> bool:
        """Whether somebody can do more than before."""
        return bool(self.gains or self.new_administrators or self.new_owners)

    @property
    def removes(self) -> bool:
        """Whether somebody can do less than before."""
        return bool(self.losses or self.former_administrators or self.former_owners)


def diff(old: PolicySet, new: PolicySet, now: datetime, budget: Budget | None = None) -> Difference:
    """What `new` grants and `old` does not, and vice versa, from the aware time `now` on.

    Raises:
        TooComplex: not decided within the budget (None: that of one command). There is no partial answer.
    """
    budget = budget or command_budget(old.rule_count + new.rule_count)
    lost, gained = changed_claims(old, new)
    names = frozenset(chain(_names(old), _names(new)))
    names |= captured(names, (pattern for tree in (old, new) for rule in tree.rules for pattern in rule.patterns))
    if new.namespaces is not None:
        names = names.union(*map(new.namespaces.possible, names))
    stranger = STRANGER
    while stranger in names:
        stranger += "'"
    values, distinguished = ClaimValues(old.groups.workloads, new.groups.workloads), distinguished_robots((old, new))
    before, after = (Tree(one, TreeMachines.of(one, values, distinguished)) for one in (old, new))
    parts = (one for one in (ROBOTS, WORKLOADS) if before.machines.has(one) or after.machines.has(one))
    return Difference(
        _rows(before, after, lost, gained, Search(before, after, stranger, names, now, budget), budget),
        _rows(after, before, gained, lost, Search(after, before, stranger, names, now, budget), budget),
        _lifetimes(old, new),
        frozenset({ANONYMOUS, AUTHENTICATED, *parts}),
        changed_administrators(old, new),
        changed_administrators(new, old),
        changed_owners(old, new),
        changed_owners(new, old),
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
    changed = changed_names(before.policies, after.policies)
    for cause in search.causes(lost, gained):
        rules = (*_rules(cause), *_entries(cause, (after.policies, before.policies), changed))
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
                    tree.machines.admits(witness.identity)
                    and allow.action in decide(tree.policies, witness.identity, scope, cell.context).granted
                    for tree in (before, after)
                ]
                assert is_granted == [False, True], (witness, cell)  # noqa: S101 - otherwise the search has a bug
                found.append(
                    DiffRow(
                        spelled(who, witness.identity, (before.policies, after.policies)),
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
    return tuple(sorted(uncovered(found, budget), key=order))


def _without(cause: Cause, budget: Budget) -> tuple[Pattern, ...]:
    """The patterns of its rules' `not` that cover some of the names in question, or that may do so."""
    names = cause.required[-1]
    return tuple(sorted((one for one in cause.without if may_meet(one, names, budget)), key=lambda one: one.text))


def _rules(cause: Cause) -> tuple[str, ...]:
    claims = [cause.allow, *([cause.deny] if cause.deny is not None else [])]
    return tuple(f"{claim.rule.id} ({claim.rule.file}:{claim.rule.line})" for claim in claims)


def _entries(cause: Cause, trees: Sequence[PolicySet], changed: frozenset[str]) -> Iterator[str]:
    """The declarations of robots and workloads that mean others in each tree, and that the cause is about."""
    claims = [cause.allow, *([cause.deny] if cause.deny is not None else [])]
    excepted = (listed(claim.rule.excluded) for claim in claims if claim.rule.excluded is not None)
    named = cause.who.union(*excepted)
    declared = {replace(one, name=base_of(one.name)) if one.sort == "workload" else one for one in named}
    for one in sorted(declared):
        if subject_of(one) in changed or (one.sort == "workload" and group_of(one) in changed):
            yield from _entry(one, trees)


def _entry(principal: Principal, trees: Iterable[PolicySet]) -> Iterator[str]:
    """The declaration of a robot or workload with its place, in the first tree that has it."""
    found: Robot | Workload | None = None
    for policies in trees:
        by_name = policies.robots if principal.sort == "robot" else policies.groups.workloads.by_name
        found = found or by_name.get(principal.name)
    if found is not None:
        yield f"{principal.sort} {found.name} ({found.file}:{found.line})"


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
