"""A policy tree in a comparison: rules by pattern, and whether the tree already makes a claim of the other one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from tokenserver.patterns import Pattern
from tokenserver.policy.analysis.covering_rules import CoveringRules
from tokenserver.policy.analysis.pattern_index import PatternIndex
from tokenserver.policy.analysis.subsumption import covers
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.diff.changed_names import depends_on
from tokenserver.policy.diff.claims import Claim
from tokenserver.policy.diff.machines import TreeMachines
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import Entry, Groups, PolicySet, Rule


class Tree:
    """A policy tree whose rules are indexed by their patterns, whatever their principals.

    `machines` None: as far as this tree alone distinguishes them.
    """

    def __init__(self, policies: PolicySet, machines: TreeMachines | None = None) -> None:
        self.policies = policies
        self.machines = TreeMachines.of(policies) if machines is None else machines
        self._covering = CoveringRules(policies)
        entries: dict[str, list[Entry]] = {}
        for rule in policies.rules:
            entries.setdefault(rule.resource_type, []).extend((rule, pattern) for pattern in rule.patterns)
        self._by_type = {name: _Entries(found) for name, found in entries.items()}
        taking = [(rule, pattern) for rule in policies.rules for pattern in rule.without]
        self._taking = _Entries(taking) if taking else None

    @property
    def groups(self) -> Groups:
        """The groups of the tree."""
        return self.policies.groups

    def near(self, resource_type: str, required: Collection[Pattern], action: str) -> Iterator[Entry]:
        """The rules about `action`, with each pattern that may cover a name that all of `required` cover."""
        entries = self._by_type.get(resource_type)
        if entries is not None:
            yield from (entry for entry in entries.meeting(required) if entry[0].decides(action))

    def taking_away(self, required: Collection[Pattern]) -> list[Entry]:
        """The rules with each pattern of their `not` that may cover a name that all of `required` cover."""
        return [] if self._taking is None else self._taking.meeting(required)

    def covers(self, claim: Claim, changed: frozenset[str], budget: Budget | None = None) -> bool:
        """Whether a rule of this tree covers the claim of the other tree; `changed` are the names of what differs.

        The answer is no if a single question is not decided within its budget: the search then decides.

        Raises:
            TooComplex: the whole budget (None: that of one command) is spent.
        """
        budget = budget or command_budget()
        if depends_on(claim.rule, changed):
            return False
        narrow = replace(claim.rule, patterns=(claim.pattern,))
        return any(
            other.effect is narrow.effect
            and not depends_on(other, changed)
            and self._keeps_machines(other, narrow)
            and _is_certain(other, narrow, self.groups, claim.action, budget)
            for other in self._covering.of(narrow)
        )

    def _keeps_machines(self, outer: Rule, inner: Rule) -> bool:
        """Whether `outer` certainly applies to every robot and workload of `inner`, if it covers its names."""
        if not self.policies.robots and not self.groups.workloads.by_name:
            return True
        to, others = inner.to, outer.to
        is_included = others.everyone or (
            not to.everyone
            and to.robots <= others.robots
            and to.workloads <= others.workloads
            and all(one in others.users for one in to.users if robot_of(one) is not None)
            and all(one in others.groups for one in to.groups if self._may_hold_machines(one))
        )
        kinds = outer.condition.kinds if outer.condition is not None else frozenset()
        own = inner.condition.kinds if inner.condition is not None else frozenset()
        has_kinds = not kinds or (bool(own) and own <= kinds)
        return is_included and has_kinds and outer.excluded in (None, inner.excluded)

    def _may_hold_machines(self, group: str) -> bool:
        """Whether robots or workloads are in this group; a membership is one of workloads."""
        found = self.groups.by_name.get(group)
        if found is None:
            return workload_of(group) is not None
        return any(robot_of(one) is not None for one in found.users) or any(
            workload_of(one) is not None for one in found.groups
        )


def _is_certain(outer: Rule, inner: Rule, groups: Groups, action: str, budget: Budget) -> bool:
    """Whether `outer` provably covers `inner`."""
    try:
        return covers(outer, inner, groups, frozenset({action}), budget)
    except TooComplex:
        if budget.is_spent:
            raise
        return False


class _Entries:
    """Rules with their patterns, in the order of literal prefixes."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = sorted(entries, key=lambda entry: entry[1].prefix)
        self._index = PatternIndex([pattern for _, pattern in self._entries])

    def meeting(self, required: Collection[Pattern]) -> list[Entry]:
        """The entries whose patterns may cover a name that all of `required` cover."""
        return [self._entries[number] for number in self._index.meeting(*required)]
