"""Witnesses: hypothetical clients that represent all clients of a kind, and the rules that a decision about them reads.

A witness has no more than it needs: no name and no groups beyond those that the question requires.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from tokenserver.identity import ANONYMOUS as ANONYMOUS_IDENTITY
from tokenserver.identity import MACHINES, PEOPLE, WORKLOAD_PREFIX, Identity, Kind, Sort
from tokenserver.patterns import Pattern
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.index import buckets_for
from tokenserver.policy.machines.classes import robots_to_try, workloads_to_try
from tokenserver.policy.machines.robots import robot_of, subject_of
from tokenserver.policy.machines.workloads import is_declared, workload_of
from tokenserver.policy.model import Entry, PolicySet, Principal
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    EVERYONE,
    ROBOTS,
    UNNAMED,
    WORKLOADS,
    AllOf,
    filler_of,
    is_unnamed,
    named_by,
    open_namespace,
    possible_namespaces,
)
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import Resource

MAX_WITNESSES = 10_000

_SINGLE_MACHINES = ("robot", "workload")
"""The principals with which few ways are left, so they are tried first."""


class TooManyCombinations(TooComplex):
    """The rules about one resource combine in too many ways."""


@dataclass(frozen=True, slots=True)
class Machines:
    """The robots and workloads to try, by name, where any is meant, or any member of one of `groups`.

    The workloads are there with those of the `groups` that they are in.
    """

    robots: tuple[str, ...]
    workloads: Mapping[str, frozenset[str]]
    groups: frozenset[str] = frozenset()
    subjects: frozenset[str] = field(init=False, repr=False, compare=False)
    """Those of the robots."""
    by_group: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """The workloads in each of the groups."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", frozenset(map(subject_of, self.robots)))
        members: dict[str, list[str]] = {}
        for name, groups in self.workloads.items():
            for group in groups:
                members.setdefault(group, []).append(name)
        object.__setattr__(self, "by_group", {group: tuple(names) for group, names in members.items()})


def all_machines(policies: PolicySet) -> Machines:
    """All declared ones."""
    declared = filter(is_declared, policies.groups.workloads.by_name)
    return Machines(tuple(policies.robots), dict.fromkeys(declared, frozenset[str]()))


def machines_for(policies: PolicySet, principals: Iterable[Principal]) -> Machines:
    """As many as questions need that are about these principals only: one of all that they cannot tell apart."""
    principals, groups = frozenset(principals), policies.groups
    named = frozenset(one.name for one in principals if one.sort == "group" and one.name in groups.by_name)
    subjects = frozenset(subject_of(one.name) for one in principals if one.sort == "robot")
    workloads = frozenset(one.name for one in principals if one.sort == "workload")
    return Machines(
        robots_to_try(policies.robots, subjects, named, groups.by_user),
        workloads_to_try(groups.workloads, workloads, named, groups.by_directory_group),
        named,
    )


def machines_about(policies: PolicySet, resource: Resource, more: Iterable[Principal] = ()) -> Machines:
    """As many as the rules about the resource can tell apart, for questions that are about `more` principals, too."""
    segments = resource.name.split("/")
    entries = [*entries_about(policies, resource)]
    bound = (one for _, pattern in entries for binding in bindings_of(policies, pattern, segments) for one in binding)
    return machines_for(policies, named_by(rule for rule, _ in entries).union(bound, more))


def examples(policies: PolicySet, who: AllOf, kind: Kind, machines: Machines | None = None) -> list[Identity]:
    """Identities that are all of `who`, one for each way to be so; unnamed where no user is required.

    `machines` are those to try where `who` names none (None: all).

    Raises:
        TooManyCombinations: there are more than `MAX_WITNESSES`.
    """
    witnesses = [
        Identity(UNNAMED, kind, namespace=open_namespace(policies)),
        ANONYMOUS_IDENTITY,
        Identity(UNNAMED, Kind.ROBOT),
        Identity(UNNAMED, Kind.WORKLOAD),
    ]
    ways = _Ways(policies, machines or all_machines(policies))
    for principal in sorted(who, key=lambda one: (one.sort not in _SINGLE_MACHINES, one)):
        extended = (more for witness in witnesses for more in ways.extended(witness, principal))
        witnesses = list(islice(extended, MAX_WITNESSES + 1))
        bound(len(witnesses))
    return [one for one in witnesses if one.sort is Sort.USER or one.subject != UNNAMED]


def asked(client: Identity, kind: Kind) -> Identity | None:
    """The client as a question means it that assumes this kind of credential; None: it is not asked about.

    People have a credential of this kind, machines their own. If only machines have such credentials, only those are
    meant.
    """
    if kind in MACHINES:
        return client if client.kind is kind else None
    return replace(client, kind=kind) if client.kind in PEOPLE else client


def bound(count: int) -> None:
    """Check that `count` witnesses are not too many.

    Raises:
        TooManyCombinations: more than `MAX_WITNESSES`.
    """
    if count > MAX_WITNESSES:
        raise TooManyCombinations(f"more than {MAX_WITNESSES} combinations of principals to try")


def cost(policies: PolicySet, resource: Resource, identity: Identity) -> int:
    """How many steps a decision about the resource takes."""
    entries = 0
    held = policies.groups.holding(identity)
    for bucket in buckets_for(policies.index, resource.type, resource.name.split("/")):
        entries += len(bucket.broad) + len(bucket.by_user.get(identity.subject, ()))
        entries += sum(len(bucket.by_group[group]) for group in held if group in bucket.by_group)
    return 1 + entries // 16


def entries_about(policies: PolicySet, resource: Resource) -> Iterator[Entry]:
    """Every rule that could cover the resource, for any client."""
    for bucket in buckets_for(policies.index, resource.type, resource.name.split("/")):
        yield from bucket.broad
        for entries in (*bucket.by_user.values(), *bucket.by_group.values()):
            yield from entries


def bindings_of(policies: PolicySet, pattern: Pattern, segments: Sequence[str]) -> list[AllOf]:
    """What clients are for whom the pattern covers the name: the principals for each way to fill its variables."""
    filler = filler_of(policies)
    return [
        frozenset(Principal(sort, name) for sort, name in ((filler, user), ("group", group)) if name)
        for user, group in readings(pattern, segments)
    ]


class _Ways:
    """The ways in which a client can be principals of a policy set, as far as these `machines` show them."""

    def __init__(self, policies: PolicySet, machines: Machines) -> None:
        self._policies = policies
        self._machines = machines

    def extended(self, witness: Identity, principal: Principal) -> list[Identity]:
        """The ways in which the witness can also be this principal; empty if it cannot."""
        if principal == EVERYONE:
            return [witness] if witness.sort is Sort.USER else self._as_any_machine(witness, witness.sort)
        if witness.is_anonymous or principal == ANONYMOUS:
            return [witness] if witness.is_anonymous and principal == ANONYMOUS else []
        if principal == AUTHENTICATED:
            return [witness] if witness.sort is Sort.USER else []
        if principal == ROBOTS:
            return self._as_any_machine(witness, Sort.ROBOT)
        if principal == WORKLOADS:
            return self._as_any_machine(witness, Sort.WORKLOAD)
        if principal.sort == "robot":
            return self._as_robots(witness, [principal.name])
        if principal.sort == "workload":
            return self._as_workload(witness, principal.name)
        if principal.sort == "group":
            return self._as_member(witness, principal.name)
        if witness.sort is not Sort.USER:
            return []
        if principal.sort == "namespace":
            return _with_namespace(self._policies, witness, principal.name)
        return _as_users(self._policies, witness, [principal.name])

    def _as_member(self, witness: Identity, name: str) -> list[Identity]:
        """The witness as each member of the group, which is one of the tree or of a directory."""
        group = self._policies.groups.by_name.get(name)
        if group is None:
            return [_bringing(witness, name)] if witness.sort is Sort.USER else []
        if witness.sort is not Sort.USER and name in self._policies.groups.holding(witness):
            return [witness]
        if witness.sort is Sort.USER:
            more = _as_users(self._policies, witness, [one for one in group.users if robot_of(one) is None])
            brought = [one for one in group.groups if workload_of(one) is None]
            return more + [_bringing(witness, one) for one in brought]
        if witness.sort is Sort.ROBOT:
            users = group.users & self._machines.subjects if name in self._machines.groups else group.users
            return self._as_robots(witness, [robot for one in users if (robot := robot_of(one)) is not None])
        if name not in self._machines.groups:
            found = [one for member in group.groups if (one := workload_of(member)) is not None]
            return [more for one in found for more in self._as_workload(witness, one)]
        if not witness.source:
            single = self._machines.by_group.get(name, ())
            return [more for one in single for more in self._as_workload(witness, one)]
        together = (more for one in self._machines.workloads for more in self._as_workload(witness, one))
        return [one for one in together if name in self._policies.groups.holding(one)]

    def _as_robots(self, witness: Identity, names: Iterable[str]) -> list[Identity]:
        """The witness as each of these robots that is declared."""
        if witness.sort is not Sort.ROBOT:
            return []
        declared = (subject_of(name) for name in names if name in self._policies.robots)
        return [replace(witness, subject=one) for one in declared if witness.subject in (UNNAMED, one)]

    def _as_any_machine(self, witness: Identity, sort: Sort) -> list[Identity]:
        """The witness as each machine of this sort, or itself if it is one."""
        if witness.sort is not sort:
            return []
        if witness.subject != UNNAMED:
            return [witness]
        if sort is Sort.ROBOT:
            return self._as_robots(witness, self._machines.robots)
        return [more for name in self._machines.workloads for more in self._as_workload(witness, name)]

    def _as_workload(self, witness: Identity, name: str) -> list[Identity]:
        """The witness with one more workload, and those that it implies; empty if no client can be both.

        Claims alone make no client: with those of any workload, it is each declared one as well.
        """
        table = self._policies.groups.workloads
        workload = table.by_name.get(name)
        if (
            witness.sort is not Sort.WORKLOAD
            or workload is None
            or (witness.source and workload.source not in ("", witness.source))
        ):
            return []
        source = witness.source or workload.source
        if not source:
            declared = (table.by_name[one] for one in self._machines.workloads)
            return [_workload(witness, one.source, table.implied(one.name, name)) for one in declared]
        held = (one for group in witness.groups if (one := workload_of(group)) is not None)
        return [_workload(witness, source, table.implied(name, *held))]


def _workload(witness: Identity, source: str, groups: frozenset[str]) -> Identity:
    return replace(witness, subject=f"{WORKLOAD_PREFIX}{UNNAMED}", source=source, groups=groups)


def _as_users(policies: PolicySet, witness: Identity, names: Iterable[str]) -> list[Identity]:
    """The witness as each of these users that it can be."""
    possible = [name for name in names if witness.subject in (UNNAMED, name)]
    return [
        replace(witness, subject=name, namespace=namespace)
        for name in possible
        for namespace in possible_namespaces(policies, name, witness.namespace)
    ]


def _with_namespace(policies: PolicySet, witness: Identity, namespace: str) -> list[Identity]:
    """The witness with this namespace, as the only user who can have it if there is only one."""
    if policies.namespaces is None:
        return _as_users(policies, witness, [namespace])
    if witness.namespace not in (UNNAMED, namespace):
        return []
    if not is_unnamed(witness):
        return _as_users(policies, replace(witness, namespace=namespace), [witness.subject])
    only = policies.namespaces.only_name(namespace)
    return [replace(witness, subject=UNNAMED if only is None else only, namespace=namespace)]


def _bringing(witness: Identity, group: str) -> Identity:
    """The witness with one more group from a directory."""
    return replace(witness, groups=witness.groups | {group})
