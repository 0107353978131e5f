"""Administration: who manages the credentials of other people and of robots, by the policy files alone.

Whether the credential of a request may manage anything at all, such as an access key, is a question for the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tokenserver.identity import Identity, Kind, Sort
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import PolicySet, Principal, Principals
from tokenserver.policy.principals import client_principal, group_principal, includes, listed


def is_administrator(policies: PolicySet, identity: Identity) -> bool:
    """Whether the client manages the credentials of everybody."""
    return policies.administrators.include(identity, policies.groups.holding(identity))


def administrators_including(
    policies: PolicySet, identity: Identity, groups: frozenset[str] | None = None
) -> tuple[Principal, ...]:
    """The entries of `administrators:` by which the client is an administrator; empty if it is none.

    `groups` are all that it is in; None: those of the identity, and those that have it.
    """
    groups = policies.groups.holding(identity) if groups is None else groups
    return tuple(one for one in listed(policies.administrators) if includes(one, identity, groups))


def may_manage_robot(policies: PolicySet, identity: Identity, robot_name: str) -> bool:
    """Whether the client may add and end secrets of this robot: an administrator, or a person among its owners.

    A robot that is an administrator is managed by administrators alone, since its secrets would make its owners
    administrators. A robot in a group that owns robots is no owner. An undeclared robot has no owners.
    """
    if is_administrator(policies, identity):
        return True
    if identity.is_anonymous or identity.sort is not Sort.USER:
        return False
    owners = _owners(policies, robot_name)
    users, groups = (frozenset(one.name for one in owners if one.sort == wanted) for wanted in ("user", "group"))
    return Principals(users=users, groups=groups).include(identity, policies.groups.holding(identity))


def _owners(policies: PolicySet, robot_name: str) -> tuple[Principal, ...]:
    """The owners who manage a robot; none if administrators alone do."""
    robot = policies.robots.get(robot_name)
    if robot is None or is_administrator(policies, Identity(robot.subject, Kind.ROBOT)):
        return ()
    return tuple(Principal(sort, name) for sort, _, name in (owner.partition(":") for owner in robot.owners))


@dataclass(frozen=True, slots=True, order=True)
class AdministratorChange:
    """Clients that become administrators, or no longer are: a user, a robot, a workload or a directory group.

    `entries` are the principals under `administrators:` that have them, in the tree by which they administer.
    """

    who: Principal
    entries: tuple[Principal, ...]


def changed_administrators(before: PolicySet, after: PolicySet) -> tuple[AdministratorChange, ...]:
    """Who administers by `after` and not by `before`.

    Everybody who does so is in some row. A workload that a comparison of claims cannot exclude is in one, too.
    """
    old, new = _administering(before), _administering(after)
    workloads = [one.name for one in old if one.sort == "workload"]
    return tuple(
        AdministratorChange(who, entries)
        for who, entries in sorted(new.items())
        if not (_was_one(before, after, who.name, workloads) if who.sort == "workload" else who in old)
    )


@dataclass(frozen=True, slots=True, order=True)
class OwnerChange:
    """People who come to manage the secrets of a robot as its owners, or no longer do: a user or a directory group.

    `entries` are the principals among its `owners` that have them, in the tree by which they manage it.
    """

    robot: str
    who: Principal
    entries: tuple[Principal, ...]


def changed_owners(before: PolicySet, after: PolicySet) -> tuple[OwnerChange, ...]:
    """Who manages which robot by `after` as an owner, and not at all by `before`.

    Everybody who comes to manage a robot is in some row, or in one of `changed_administrators`.
    """
    administrators = _administering(before).keys()
    return tuple(
        OwnerChange(robot, who, entries)
        for robot in sorted(after.robots)
        for old in [_owning(before, robot).keys() | administrators]
        for who, entries in sorted(_owning(after, robot).items())
        if who not in old
    )


def _owning(policies: PolicySet, robot_name: str) -> Mapping[Principal, tuple[Principal, ...]]:
    """The people who own a robot, with the entries that have them."""
    everybody = _by_member(policies, _owners(policies, robot_name))
    return {who: entries for who, entries in everybody.items() if who.sort in {"user", "directory"}}


def _was_one(before: PolicySet, after: PolicySet, name: str, workloads: list[str]) -> bool:
    """Whether each client that is this workload was one of `workloads`."""
    now, known = after.groups.workloads.by_name[name], before.groups.workloads.by_name
    return any(now.implies(known[one]) for one in workloads)


def _administering(policies: PolicySet) -> Mapping[Principal, tuple[Principal, ...]]:
    """Those who administer, with the entries that have them; groups of the tree are their members."""
    return _by_member(policies, listed(policies.administrators))


def _by_member(policies: PolicySet, entries: Iterable[Principal]) -> Mapping[Principal, tuple[Principal, ...]]:
    found: dict[Principal, tuple[Principal, ...]] = {}
    for entry in entries:
        for one in _members(policies, entry):
            found[one] = (*found.get(one, ()), entry)
    return found


def _members(policies: PolicySet, entry: Principal) -> Iterator[Principal]:
    if entry.sort != "group":
        yield entry
    elif entry.name not in policies.groups.by_name:
        yield Principal("directory", entry.name)
    else:
        group = policies.groups.by_name[entry.name]
        yield from map(client_principal, group.users)
        for name in group.groups:
            yield Principal("directory", name) if workload_of(name) is None else group_principal(name)
