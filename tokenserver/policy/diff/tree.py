"""A policy tree in a comparison: rules by pattern, and whether the tree already makes a claim of the other one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import replace

from tokenserver.policy.analysis.containment import may_overlap
from tokenserver.policy.analysis.subsumption import candidates, covers
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.diff.claims import Claim, depends_on_groups
from tokenserver.policy.index import prefixes
from tokenserver.policy.model import Entry, Groups, PolicySet, Rule
from tokenserver.policy.patterns import Pattern

_BESIDE_SLASH = chr(ord("/") + 1)


class Tree:
    """A policy tree whose rules are indexed by their patterns, whatever their principals."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        for rule in policies.rules:
            for pattern in rule.patterns:
                self._entries.setdefault((rule.resource_type, pattern.prefix), []).append((rule, pattern))
        self._prefixes = sorted(self._entries)

    @property
    def groups(self) -> Groups:
        """The groups of the tree."""
        return self.policies.groups

    def near(self, resource_type: str, required: Collection[Pattern], action: str) -> Iterator[Entry]:
        """The rules about `action`, with each pattern that may cover a name that all of `required` cover."""
        deepest = max(required, key=lambda pattern: pattern.depth)
        segments = deepest.prefix.split("/") if deepest.depth else []
        keys = [(resource_type, prefix) for prefix in prefixes(segments)]
        below = (f"{deepest.prefix}/", deepest.prefix + _BESIDE_SLASH) if segments else ("\0", "\x7f")
        first, last = (bisect_left(self._prefixes, (resource_type, edge)) for edge in below)
        for key in [*keys, *self._prefixes[first:last]]:
            for rule, pattern in self._entries.get(key, ()):
                if rule.decides(action) and all(may_overlap(pattern, one) for one in required):
                    yield rule, pattern

    def covers(self, claim: Claim, changed: frozenset[str], budget: Budget | None = None) -> bool:
        """Whether a rule of this tree covers the claim of the other tree; `changed` are the groups that differ.

        The answer is no if a single question is not decided within its budget: the search then decides.

        Raises:
            TooComplex: the whole budget (None: that of one command) is spent.
        """
        budget = budget or command_budget()
        if depends_on_groups(claim.rule, changed):
            return False
        narrow = replace(claim.rule, patterns=(claim.pattern,))
        return any(
            other.effect is narrow.effect
            and not depends_on_groups(other, changed)
            and _is_certain(other, narrow, self.groups, claim.action, budget)
            for other in candidates(self.policies, narrow)
        )


def _is_certain(outer: Rule, inner: Rule, groups: Groups, action: str, budget: Budget) -> bool:
    """Whether `outer` provably covers `inner`."""
    try:
        return covers(outer, inner, groups, frozenset({action}), budget)
    except TooComplex:
        if budget.is_spent:
            raise
        return False
