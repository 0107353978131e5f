"""Administration: who manages the credentials of other people and of robots, by the policy files alone.

Whether the credential of a request may manage anything at all, such as an access key, is a question for the caller.
"""

from __future__ import annotations

from tokenserver.identity import Identity, Kind, Sort
from tokenserver.policy.model import PolicySet, Principal, Principals
from tokenserver.policy.principals import includes, listed


def is_administrator(policies: PolicySet, identity: Identity) -> bool:
    """Whether the client manages the credentials of everybody."""
    return policies.administrators.include(identity, policies.groups.holding(identity))


def administrators_including(policies: PolicySet, identity: Identity) -> tuple[Principal, ...]:
    """The entries of `administrators:` by which the client is an administrator; empty if it is none."""
    groups = policies.groups.holding(identity)
    return tuple(one for one in listed(policies.administrators) if includes(one, identity, groups))


def may_manage_robot(policies: PolicySet, identity: Identity, robot_name: str) -> bool:
    """Whether the client may add and end secrets of this robot: an administrator, or a person among its owners.

    A robot that is an administrator is managed by administrators alone, since its secrets would make its owners
    administrators. A robot in a group that owns robots is no owner. An undeclared robot has no owners.
    """
    if is_administrator(policies, identity):
        return True
    robot = policies.robots.get(robot_name)
    if robot is None or identity.is_anonymous or identity.sort is not Sort.USER:
        return False
    if is_administrator(policies, Identity(robot.subject, Kind.ROBOT)):
        return False
    owners = [owner.partition(":") for owner in robot.owners]
    users, groups = (frozenset(name for sort, _, name in owners if sort == wanted) for wanted in ("user", "group"))
    return Principals(users=users, groups=groups).include(identity, policies.groups.holding(identity))
