"""Witnesses: hypothetical clients that represent all clients of a kind, and the rules that a decision about them reads.

A witness has no more than it needs: no name and no groups beyond those that the question requires.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from tokenserver.identity import ANONYMOUS as ANONYMOUS_IDENTITY
from tokenserver.identity import WORKLOAD_PREFIX, Identity, Kind, Sort
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.index import buckets_for
from tokenserver.policy.machines.robots import subject_of
from tokenserver.policy.machines.workloads import is_declared
from tokenserver.policy.model import Entry, PolicySet, Principal
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    EVERYONE,
    ROBOTS,
    UNNAMED,
    WORKLOADS,
    AllOf,
    client_principal,
    group_principal,
    is_unnamed,
    open_namespace,
    possible_namespaces,
)
from tokenserver.scopes import Resource

MAX_WITNESSES = 10_000


class TooManyCombinations(TooComplex):
    """The rules about one resource combine in too many ways."""


def examples(policies: PolicySet, who: AllOf, kind: Kind) -> list[Identity]:
    """Identities that are all of `who`, one for each way to be so; unnamed where no user is required.

    Raises:
        TooManyCombinations: there are more than `MAX_WITNESSES`.
    """
    witnesses = [
        Identity(UNNAMED, kind, namespace=open_namespace(policies)),
        ANONYMOUS_IDENTITY,
        Identity(UNNAMED, Kind.ROBOT),
        Identity(UNNAMED, Kind.WORKLOAD),
    ]
    for principal in sorted(who):
        extended = (more for witness in witnesses for more in _extended(policies, witness, principal))
        witnesses = list(islice(extended, MAX_WITNESSES + 1))
        bound(len(witnesses))
    return [one for one in witnesses if one.sort is Sort.USER or one.subject != UNNAMED]


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


def _extended(policies: PolicySet, witness: Identity, principal: Principal) -> list[Identity]:
    """The ways in which the witness can also be this principal; empty if it cannot."""
    if principal == EVERYONE:
        return [witness]
    if witness.is_anonymous or principal == ANONYMOUS:
        return [witness] if witness.is_anonymous and principal == ANONYMOUS else []
    if principal == AUTHENTICATED:
        return [witness] if witness.sort is Sort.USER else []
    if principal == ROBOTS:
        return _as_robots(policies, witness, policies.robots)
    if principal == WORKLOADS:
        declared = policies.groups.workloads.by_name
        return [more for name in declared if is_declared(name) for more in _as_workload(policies, witness, name)]
    if principal.sort == "namespace":
        return _with_namespace(policies, witness, principal.name) if witness.sort is Sort.USER else []
    if principal.sort == "user":
        return _as_users(policies, witness, [principal.name])
    if principal.sort == "robot":
        return _as_robots(policies, witness, [principal.name])
    if principal.sort == "workload":
        return _as_workload(policies, witness, principal.name)
    group = policies.groups.by_name.get(principal.name)
    if group is None:
        return [_bringing(witness, principal.name)] if witness.sort is Sort.USER else []
    members = [*map(client_principal, group.users), *map(group_principal, group.groups)]
    return [more for one in members for more in _as_member(policies, witness, one)]


def _as_member(policies: PolicySet, witness: Identity, member: Principal) -> list[Identity]:
    """The witness as this member of a group of the tree; a group is one of a directory."""
    if member.sort == "group":
        return [_bringing(witness, member.name)] if witness.sort is Sort.USER else []
    return _extended(policies, witness, member)


def _as_robots(policies: PolicySet, witness: Identity, names: Iterable[str]) -> list[Identity]:
    """The witness as each of these robots that is declared."""
    if witness.sort is not Sort.ROBOT:
        return []
    subjects = (subject_of(name) for name in names if name in policies.robots)
    return [replace(witness, subject=one) for one in subjects if witness.subject in (UNNAMED, one)]


def _as_workload(policies: PolicySet, witness: Identity, name: str) -> list[Identity]:
    """The witness with one more workload, and those that it implies; empty if no client can be both.

    Claims alone make no client: with those of any workload, it is each declared one as well.
    """
    table = policies.groups.workloads
    workload = table.by_name.get(name)
    if (
        witness.sort is not Sort.WORKLOAD
        or workload is None
        or witness.source not in ("", workload.source or witness.source)
    ):
        return []
    groups = witness.groups | table.implied(name)
    if workload.source:
        return [_workload(witness, workload.source, groups)]
    if witness.source:
        return [_workload(witness, witness.source, groups)]
    declared = (one for one in table.by_name.values() if is_declared(one.name))
    return [_workload(witness, one.source, groups | table.implied(one.name)) for one in declared]


def _workload(witness: Identity, source: str, groups: frozenset[str]) -> Identity:
    return replace(witness, subject=f"{WORKLOAD_PREFIX}{UNNAMED}", source=source, groups=groups)


def _as_users(policies: PolicySet, witness: Identity, names: Iterable[str]) -> list[Identity]:
    """The witness as each of these users that it can be."""
    if witness.sort is not Sort.USER:
        return []
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
