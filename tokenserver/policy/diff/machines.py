"""Machines of a tree in a comparison: the robots and workloads that can log in, and the minimal ones of a principal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tokenserver.identity import Claims, Identity, Sort
from tokenserver.policy.diff.claim_values import ClaimValues
from tokenserver.policy.diff.persons import ANYONE, Person
from tokenserver.policy.groups import Groups
from tokenserver.policy.machines.claim_names import with_aliases
from tokenserver.policy.machines.robots import robot_of, subject_of
from tokenserver.policy.machines.workloads import (
    NO_WORKLOADS,
    Workload,
    Workloads,
    is_declared,
    membership,
    workload_of,
)
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, ROBOTS, WORKLOADS, client_principal, group_principal

CLASSES = frozenset({ROBOTS, WORKLOADS})
"""The sets of all machines of a sort."""


@dataclass(frozen=True, slots=True)
class TreeMachines:
    """The machines of a tree. `robots` are the subjects of the declared ones that represent all, sorted.

    `declared` are the subjects of all of them; `representative` is the one that stands for several, if there is any.
    `values` are those of the claims of both trees. Created by `TreeMachines.of`.
    """

    declared: frozenset[str] = frozenset()
    robots: tuple[str, ...] = ()
    workloads: Workloads = NO_WORKLOADS
    values: ClaimValues = field(default_factory=ClaimValues)
    representative: str | None = None

    @classmethod
    def of(
        cls, policies: PolicySet, values: ClaimValues | None = None, distinguished: frozenset[str] = frozenset()
    ) -> TreeMachines:
        """The machines of `policies`, where only the robots `distinguished` differ in more than their names.

        `values` None: those of this tree alone.
        """
        declared = sorted(one.subject for one in policies.robots.values())
        alike = [one for one in declared if one not in distinguished]
        robots = tuple(one for one in declared if one in distinguished or one in alike[:1])
        workloads = policies.groups.workloads
        values = ClaimValues(workloads) if values is None else values
        return cls(frozenset(declared), robots, workloads, values, alike[0] if len(alike) > 1 else None)

    def has(self, principal: Principal) -> bool:
        """Whether a client that can log in may be this principal. Groups may always have members."""
        if principal.sort == "robot":
            return subject_of(principal.name) in self.declared
        if principal == ROBOTS:
            return bool(self.declared)
        if principal == WORKLOADS:
            return any(map(is_declared, self.workloads.by_name))
        return principal.sort != "workload" or principal.name in self.workloads.by_name

    def admits(self, identity: Identity) -> bool:
        """Whether the client can log in where this tree is in force: others get a 401."""
        if identity.sort is Sort.ROBOT:
            return identity.subject in self.declared
        if identity.sort is Sort.USER:
            return True
        found = map(workload_of, self.workloads.memberships(identity.source, identity.claims))
        return any(name is not None and is_declared(name) for name in found)

    def ways(self, principal: Principal) -> Iterator[Person]:
        """The minimal machines that are this robot or workload, or one of these sets.

        Raises:
            TooComplex: there are too many ways to be a workload.
        """
        if principal.sort == "robot":
            yield from map(Person, sorted(self.declared & {subject_of(principal.name)}))
        elif principal == ROBOTS:
            yield from map(Person, self.robots)
        elif principal == WORKLOADS:
            for name, workload in sorted(self.workloads.by_name.items()):
                if is_declared(name):
                    yield from self._ways_of(workload)
        elif principal.name in self.workloads.by_name:
            yield from self._ways_of(self.workloads.by_name[principal.name])

    def claims_of(self, person: Person) -> Claims:
        """Some of the claims of this workload with which it is the same workloads, each under all of its names."""
        return with_aliases(self.values.fewest(person.claims), self.workloads.aliases_of(person.source))

    def _ways_of(self, workload: Workload) -> Iterator[Person]:
        groups = frozenset({membership(workload.name)})
        for claims in self.values.ways(workload):
            yield Person(groups=groups, source=workload.source, claims=claims)


NO_MACHINES = TreeMachines()


def ways(groups: Groups, principal: Principal, machines: TreeMachines = NO_MACHINES) -> Iterator[Person]:
    """The minimal persons that are this principal in a tree with these groups and machines.

    Raises:
        TooComplex: there are too many ways to be a workload.
    """
    if principal.sort == "group" and principal.name in groups.by_name:
        group = groups.by_name[principal.name]
        for name in sorted(group.groups):
            if workload_of(name) is None:
                yield Person(groups=frozenset({name}))
            else:
                yield from machines.ways(group_principal(name))
        for name in sorted(group.users):
            yield from [Person(name)] if robot_of(name) is None else machines.ways(client_principal(name))
    elif principal.sort in ("group", "directory"):
        yield Person(groups=frozenset({principal.name}))
    elif principal.sort == "capture":
        yield ANYONE  # the patterns of the rule bind the group
    elif principal in CLASSES or principal.sort in ("robot", "workload"):
        yield from machines.ways(principal)
    else:
        yield Person(principal.name, anonymous=principal == ANONYMOUS)


def distinguished_robots(trees: Iterable[PolicySet]) -> frozenset[str]:
    """The subjects of the robots that rules or groups of one of the trees name, or that not all of them declare."""
    trees = tuple(trees)
    declared = [frozenset(one.subject for one in policies.robots.values()) for policies in trees]
    found = set(frozenset[str]().union(*declared) - declared[0].intersection(*declared[1:]))
    for policies in trees:
        for people in (people for rule in policies.rules for people in (rule.to, rule.excluded) if people is not None):
            found |= people.users
        for group in policies.groups.by_name.values():
            found |= group.users
    return frozenset(one for one in found if robot_of(one) is not None)
