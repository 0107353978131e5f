"""Changed names: the groups, robots and workloads that mean other clients in each of two trees, and their members.

A robot that one tree alone declares can log in only where that one is in force, and so can a workload. A workload with
other claims is another one. Groups that hold any of these have other members.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from tokenserver.patterns import Capture, SegmentKind
from tokenserver.policy.diff.machines import TreeMachines
from tokenserver.policy.groups import Groups
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import Workloads, is_declared, membership, workload_of
from tokenserver.policy.model import PolicySet, Principal, Rule
from tokenserver.policy.principals import ROBOTS, WORKLOADS, client_principal, group_principal
from tokenserver.scopes import is_path_component

Who = frozenset[Principal]
"""Clients that are all of these. A `directory` principal is a directory group, even if a group of the tree hides it. A
`capture` principal is all groups whose names fit, such as `reg-{team}-rw`."""


def changed_groups(old: Groups, new: Groups) -> frozenset[str]:
    """The names of groups that differ between two trees."""
    names = old.by_name.keys() | new.by_name.keys()
    return frozenset(name for name in names if old.by_name.get(name) != new.by_name.get(name))


def changed_names(old: PolicySet, new: PolicySet) -> frozenset[str]:
    """The names of groups, subjects of robots and memberships of workloads with other clients in each of two trees."""
    found = changed_groups(old.groups, new.groups)
    machines = {one.subject for one in old.robots.values()} ^ {one.subject for one in new.robots.values()}
    machines |= _changed_workloads(old.groups.workloads, new.groups.workloads)
    if not machines:
        return found
    holding = (
        group.name
        for tree in (old.groups, new.groups)
        for group in tree.by_name.values()
        if not (machines.isdisjoint(group.users) and machines.isdisjoint(group.groups))
    )
    return found.union(machines, holding)


def _changed_workloads(old: Workloads, new: Workloads) -> set[str]:
    """The memberships of workloads that differ.

    Claims alone make no client, so those of any workload mean other clients as soon as a declared workload differs.
    """
    names = old.by_name.keys() | new.by_name.keys()
    found = {name for name in names if old.by_name.get(name) != new.by_name.get(name)}
    if any(map(is_declared, found)):
        found |= {name for name in names if _is_of_any_source(old, name) or _is_of_any_source(new, name)}
    return set(map(membership, found))


def _is_of_any_source(workloads: Workloads, name: str) -> bool:
    return name in workloads.by_name and not workloads.by_name[name].source


def depends_on(rule: Rule, changed: frozenset[str]) -> bool:
    """Whether the meaning of the rule depends on any of the `changed` names."""
    if not changed:
        return False
    robots, workloads = _changed_machines(changed)
    for people in (rule.to, rule.excluded):
        if people is not None and (
            not people.groups.isdisjoint(changed)
            or (robots and (people.everyone or people.robots or not people.users.isdisjoint(robots)))
            or (workloads and (people.everyone or people.workloads))
        ):
            return True
    return any(
        pattern.uses(SegmentKind.GROUP) and (not pattern.captures or values_for(pattern.captures, changed))
        for pattern in rule.patterns
    )


@lru_cache(maxsize=16)
def _changed_machines(changed: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The subjects of robots and the names of declared workloads among these names."""
    robots = frozenset(one for one in changed if robot_of(one) is not None)
    workloads = (workload_of(one) for one in sorted(changed))
    return robots, tuple(one for one in workloads if one is not None and is_declared(one))


@lru_cache(maxsize=256)
def values_for(captures: tuple[Capture, ...], groups: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """The names of groups with the value of the variable for their members, by name; without captures the name."""
    if not captures:
        return tuple((name, name) for name in sorted(groups) if is_path_component(name))
    found = ((name, capture.value(name)) for name in sorted(groups) for capture in captures)
    return tuple((name, value) for name, value in found if value is not None)


@dataclass(frozen=True, slots=True)
class Members:
    """The clients of one tree, of which the `changed` names mean others in another tree. Created by `Members.of`."""

    groups: Groups
    machines: TreeMachines
    changed: frozenset[str]

    @classmethod
    def of(cls, policies: PolicySet, changed: frozenset[str]) -> Members:
        """The clients of `policies`."""
        return cls(policies.groups, TreeMachines.of(policies), changed)

    def ways(self, principals: Iterable[Principal]) -> Iterator[Who]:
        """The principals, with each changed group replaced by the ways to be a member of it.

        Robots and workloads that this tree does not declare are left out. A set of all machines stands for those that
        both trees know alike, and the others follow by name.
        """
        for one in self._opened(principals):
            if self._has(one):
                yield frozenset({one})
                yield from (frozenset({*added, more}) for added, more in self._others(one) if self.machines.has(more))

    def _has(self, principal: Principal) -> bool:
        """Whether a client can be this principal; a set of all machines also means those of the other tree."""
        robots, workloads = _changed_machines(self.changed)
        is_elsewhere = (principal == ROBOTS and robots) or (principal == WORKLOADS and workloads)
        return bool(is_elsewhere) or self.machines.has(principal)

    def _others(self, principal: Principal) -> Iterator[tuple[Who, Principal]]:
        """The changed machines of a set of machines, or of the claims of any workload."""
        robots, workloads = _changed_machines(self.changed)
        if principal == ROBOTS:
            yield from ((frozenset(), client_principal(one)) for one in sorted(robots))
        elif principal == WORKLOADS:
            yield from ((frozenset(), Principal("workload", one)) for one in workloads)
        elif principal.sort == "workload" and _is_of_any_source(self.machines.workloads, principal.name):
            yield from ((frozenset({principal}), Principal("workload", one)) for one in workloads)

    def _opened(self, principals: Iterable[Principal]) -> Iterator[Principal]:
        for one in principals:
            if one.sort != "group" or one.name not in self.changed:
                yield one
            elif one.name not in self.groups.by_name:
                yield Principal("directory", one.name)
            else:
                group = self.groups.by_name[one.name]
                yield from map(client_principal, sorted(group.users))
                for member in map(group_principal, sorted(group.groups)):
                    yield Principal("directory", member.name) if member.sort == "group" else member

    def excepted(self, principals: Iterable[Principal]) -> frozenset[Hashable]:
        """What exceptions for these principals mean to clients that can log in where either tree is in force."""
        return frozenset(map(self._meaning, self._opened(principals)))

    def meaning(self, who: Who) -> frozenset[Hashable]:
        """What `who` means, in a form that is equal in both trees if it means the same."""
        return frozenset(map(self._meaning, who))

    def _meaning(self, principal: Principal) -> Hashable:
        if principal.sort != "workload" or membership(principal.name) not in self.changed:
            return principal
        workload = self.machines.workloads.by_name.get(principal.name)
        return "workload", workload and (workload.source, workload.claims)
