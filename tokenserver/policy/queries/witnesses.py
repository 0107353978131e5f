"""Witnesses: hypothetical clients that represent all clients of a kind, and the rules that a decision about them reads.

A witness has no more than it needs: no name and no groups beyond those that the question requires.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from tokenserver.identity import ANONYMOUS as ANONYMOUS_IDENTITY
from tokenserver.identity import Identity, Kind
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.index import buckets_for
from tokenserver.policy.model import Entry, PolicySet, Principal
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    EVERYONE,
    UNNAMED,
    AllOf,
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
    witnesses = [Identity(UNNAMED, kind, namespace=open_namespace(policies)), ANONYMOUS_IDENTITY]
    for principal in sorted(who):
        extended = (more for witness in witnesses for more in _extended(policies, witness, principal))
        witnesses = list(islice(extended, MAX_WITNESSES + 1))
        bound(len(witnesses))
    return witnesses


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
        return [witness]
    if principal.sort == "namespace":
        return _with_namespace(policies, witness, principal.name)
    if principal.sort == "user":
        return _as_users(policies, witness, [principal.name])
    group = policies.groups.by_name.get(principal.name)
    if group is None:
        return [_bringing(witness, principal.name)]
    return [*_as_users(policies, witness, group.users), *(_bringing(witness, brought) for brought in group.groups)]


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
