"""The search behind `diff`: whether, for whom and when one claim makes a difference between two trees.

Nothing is sampled. For one claim, `containment.covered_names` finds every way in which the rules of both trees can
cover a name, and `Circumstances` every circumstance that they distinguish. For each name, `ClientSearch` finds the
minimal clients that gain, by circumstance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from tokenserver.identity import ANONYMOUS as NOBODY
from tokenserver.identity import MACHINES, PEOPLE, Identity, Kind, Sort
from tokenserver.patterns import Pattern
from tokenserver.policy.analysis.circumstances import Cell, Circumstances
from tokenserver.policy.analysis.containment import CoveredName, covered_name, escape_from
from tokenserver.policy.analysis.intersection import intersection, is_exact
from tokenserver.policy.budget import QUESTION_STEPS, SEARCH_STEPS, Budget, TooComplex
from tokenserver.policy.decide import objection
from tokenserver.policy.diff.changed_names import Who, changed_names, values_for
from tokenserver.policy.diff.claims import Claim, meant_by
from tokenserver.policy.diff.frontier import ClientSearch
from tokenserver.policy.diff.machines import CLASSES, ways
from tokenserver.policy.diff.near_rules import Cause, NearRules
from tokenserver.policy.diff.partition import Partition
from tokenserver.policy.diff.persons import ANYONE, Person
from tokenserver.policy.diff.search_cache import SearchCache
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.model import Effect, Principal, Rule
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    ROBOTS,
    UNNAMED,
    WORKLOADS,
    client_principal,
    group_principal,
    kinds_of,
)
from tokenserver.policy.syntax.machines import workload_identity

_KINDS = {
    Sort.USER: tuple(one for one in Kind if one in PEOPLE),
    Sort.ROBOT: (Kind.ROBOT,),
    Sort.WORKLOAD: (Kind.WORKLOAD,),
}
"""The kinds of credential that clients of each sort log in with."""

_SORT_OF = {ROBOTS: "robot", WORKLOADS: "workload"}


@dataclass(frozen=True, slots=True)
class Witness:
    """A name and an identity that only one of two trees grants access to it."""

    name: str
    identity: Identity


class Search:
    """The search for what `after` grants and `before` does not.

    `stranger` is the name of a user that no rule and no pattern can mean; `reserved` are the names of all users and
    groups of both trees; times before `since` do not count. Methods raise `TooComplex` when `budget` is exceeded.
    """

    def __init__(  # noqa: PLR0917 - two trees and the question about them
        self,
        before: Tree,
        after: Tree,
        stranger: str,
        reserved: frozenset[str],
        since: datetime,
        budget: Budget,
    ) -> None:
        self._budget = budget
        self._before, self._after = before, after
        self._stranger, self._since = stranger, since
        self._namespaces = after.policies.namespaces
        self._workloads = {**before.groups.workloads.by_name, **after.groups.workloads.by_name}
        self._searches = SearchCache(reserved, budget)

    def causes(self, lost: Iterable[Claim], gained: Iterable[Claim]) -> Iterator[Cause]:
        """Every possible cause: new allows, and allows that a lost deny overrode.

        A claim that a wider rule of the other tree covers is not a cause: a new allow that was granted before matters
        only where a deny overrode it, and then that deny is the cause.
        """
        for cause in self._possible_causes(lost, gained):
            yield from (replace(cause, sort=sort) for sort in self._sorts(cause))

    def _possible_causes(self, lost: Iterable[Claim], gained: Iterable[Claim]) -> Iterator[Cause]:
        changed = changed_names(self._before.policies, self._after.policies)
        for claim in gained:
            if claim.rule.effect is Effect.ALLOW and not self._before.covers(claim, changed, self._budget):
                for required in self._required(claim):
                    yield Cause(claim, None, required)
        for deny in lost:
            if deny.rule.effect is Effect.DENY and not self._after.covers(deny, changed, self._budget):
                for required in self._required(deny):
                    yield from self._overridden(deny, required)

    def _required(self, claim: Claim) -> Iterator[tuple[Pattern, ...]]:
        """Patterns that all cover a name in question about a claim, several of them about parts of these names."""
        if not claim.within:
            yield (claim.pattern,)
        for part in claim.within:
            both = () if is_exact(claim.pattern, part) else (claim.pattern, part)
            for common in intersection(claim.pattern, part, self._budget):
                yield (*both, common)

    def _overridden(self, deny: Claim, required: tuple[Pattern, ...]) -> Iterator[Cause]:
        """The allows that a lost deny overrode, on names that `required` cover."""
        for rule, written in self._after.near(deny.rule.resource_type, required, deny.action):
            if rule.effect is Effect.ALLOW:
                for pattern, one in meant_by(rule, written):
                    if (one == ANONYMOUS) == (ANONYMOUS in deny.who):
                        allow = Claim(rule, pattern, deny.action, frozenset({one}), written)
                        is_enough = len(required) == 1 and is_exact(pattern, required[-1])
                        both = () if is_enough else (pattern, *required)
                        for common in intersection(pattern, required[-1], self._budget):
                            yield Cause(allow, deny, (*both, common))

    def differences(self, cause: Cause) -> tuple[Circumstances, dict[Who, dict[Cell, Witness]]]:
        """The people for whom the cause makes a difference, in which circumstances, each with a witness.

        Only minimal people are listed: a client with more groups than these gains as well.
        """
        near = NearRules(self._before, self._after, cause, self._namespaces)
        kinds = (Kind.ANONYMOUS,) if ANONYMOUS in cause.who else _KINDS[cause.sort]
        circumstances = Circumstances.of(near.rules, kinds, self._since, self._budget)
        partition = Partition(circumstances.cells(), self._budget)
        seeds = [seed for seed in self._seeds(cause) if seed.sort is cause.sort or seed == ANYONE]
        is_broad = not CLASSES.isdisjoint(cause.who)
        apart = [seed for seed in seeds if is_broad and seed.user != self._after.machines.representative]
        clients = ClientSearch(seeds, self.identity, self._budget, apart)

        def is_settled(covered: CoveredName) -> bool:
            """Whether this name settles the cause: everyone that the cause means gains on it or on an earlier one."""
            on_name = near.on_name(covered)
            if on_name is not None:
                clients.search(on_name, partition)
            return partition.is_settled

        search = partial(self._searches.covered_names, cause.required, tuple(near.patterns), near.names())
        try:
            any(map(is_settled, search(QUESTION_STEPS)))
        except TooComplex:
            # A name that no rival of the simplest person covers often settles the cause, and needs no product search.
            for avoided, wanted in near.openings(partial(self._concerns, seeds[:1], partition.cells), self._budget):
                name = escape_from(avoided, wanted, self._budget.question())
                if name is not None and is_settled(covered_name(name, near.patterns, len(cause.required))):
                    break
            else:
                any(map(is_settled, search(SEARCH_STEPS)))
        return circumstances, self._by_people(cause, partition)

    def _concerns(self, seeds: Iterable[Person], cells: Collection[Cell], tree: Tree, rule: Rule) -> bool:
        """Whether the rule applies to any of these persons in any of these cells, on the names that it covers."""
        self._budget.spend(1 + len(cells) // 4)
        identities = [(self.identity(seed, cell.kind), cell.context) for seed in seeds for cell in cells]
        return any(
            one is not None
            and tree.machines.admits(one)
            and objection(rule, one, tree.groups.holding(one), context) is None
            for one, context in identities
        )

    def _seeds(self, cause: Cause) -> list[Person]:
        """The minimal persons that are all that the cause means."""
        sides = [(self._after, one) for one in self._needed(cause.allow.who, is_allowed=True)]
        if cause.deny is not None:
            sides += [(self._before, one) for one in self._needed(cause.deny.who)]
        seeds: list[Person] = [ANYONE]
        for tree, principal in sides:
            steps = list(ways(tree.groups, principal, tree.machines))
            if principal == ANONYMOUS:
                return steps
            seeds = [more for seed in seeds for way in steps if (more := seed.joined(way)) is not None]
        if AUTHENTICATED in cause.who:
            seeds = [seed for seed in seeds if seed.sort is Sort.USER]
        return sorted(set(seeds), key=Person.order)

    def _needed(self, who: Who, *, is_allowed: bool = False) -> list[Principal]:
        """The principals without sets of machines that others imply; what is allowed is a declared workload besides."""
        of_sort = {one.sort for one in who if not self._is_of_any_source(one)}
        found = {one for one in who if _SORT_OF.get(one) not in of_sort}
        if is_allowed and "workload" not in of_sort and any(map(self._is_of_any_source, who)):
            found.add(WORKLOADS)
        return sorted(found)

    def _is_of_any_source(self, principal: Principal) -> bool:
        """Whether it stands for the claims of any workload."""
        found = self._workloads.get(principal.name) if principal.sort == "workload" else None
        return found is not None and not found.source

    def _sorts(self, cause: Cause) -> list[Sort]:
        """The sorts of clients that a cause can be about; that of anonymous clients is that of people."""
        seeds = self._seeds(cause)
        found = {seed.sort for seed in seeds}
        if ANYONE in seeds and AUTHENTICATED not in cause.who:
            found |= self._captured_sorts(self._after, cause.allow)
        return sorted(found)

    @staticmethod
    def _captured_sorts(tree: Tree, claim: Claim) -> set[Sort]:
        """The sorts of clients in groups of the tree with names that the claim captures."""
        found = values_for(claim.pattern.captures, frozenset(tree.groups.by_name))
        groups = (Principal("group", name) for name, _ in found)
        kinds = frozenset[Kind]().union(*(kinds_of(tree.policies, group) for group in groups))
        return {MACHINES.get(kind, Sort.USER) for kind in kinds}

    def identity(self, person: Person, kind: Kind) -> Identity | None:
        """An identity that is exactly `person`; None if no client of this kind can be.

        That is so for another sort of clients, and for a user of whose name nobody can have this namespace.
        """
        if person.anonymous or kind is Kind.ANONYMOUS:
            return NOBODY if person.anonymous and kind is Kind.ANONYMOUS else None
        if kind not in _KINDS[person.sort]:
            return None
        if person.sort is Sort.ROBOT:
            return Identity(person.user, kind)
        if person.sort is Sort.WORKLOAD:
            return workload_identity(person.source, self._after.machines.claims_of(person))
        user, namespace = person.user, None
        if self._namespaces is not None:
            namespace = person.namespace or (self._namespaces.of(user) if user else UNNAMED)
            namespace = UNNAMED if namespace is None else namespace
            if person.namespace and not user:
                user = self._namespaces.only_name(person.namespace) or ""
            if person.namespace and user and not self._namespaces.is_possible(user, person.namespace):
                return None
        return Identity(user or self._stranger, kind, groups=person.groups, namespace=namespace)

    def _by_people(self, cause: Cause, partition: Partition) -> dict[Who, dict[Cell, Witness]]:
        by_people: dict[Who, dict[Cell, Witness]] = {}
        for block in partition.blocks:
            everyone = {ANYONE: block.gains[ANYONE]} if block.is_settled else block.gains
            for added, (name, person) in everyone.items():
                if not any(other != added and other <= added for other in block.gains):
                    by_cell = by_people.setdefault(cause.who | self._as_principals(added), {})
                    for cell in partition.cells_of(block):
                        identity = self.identity(person, cell.kind)
                        assert identity is not None  # noqa: S101 - the person was tried as one
                        by_cell[cell] = Witness(name, identity)
        return by_people

    def _as_principals(self, person: Person) -> Who:
        trees = (self._before.groups.by_name, self._after.groups.by_name)
        groups = {
            Principal("directory", name) if any(name in tree for tree in trees) else group_principal(name)
            for name in person.groups
        }
        names = (client_principal(person.user), Principal("namespace", person.namespace))
        return frozenset(groups.union(one for one in names if one.name))
