"""Unknown names: users and groups that policies name and no user source has, or that more than one source has.

The caller queries the user sources. This module lists the names to ask about, and turns answers into findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tokenserver.documents.document import Document
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.machines.robots import Robot, robot_of
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import Group, PolicySet, Principals

CODES = frozenset({"TS301", "TS302", "TS303"})
"""Codes that need the user sources. If those were not queried, suppressions of these codes count as used."""

LocatedFinding = tuple[str, int, str, str]
"""A file's name, a line, a code and a text."""

_NOBODY = Principals()


@dataclass(frozen=True, slots=True)
class UnknownNames:
    """Problems with names according to the user sources, by name; names without a problem are absent.

    `users` and `groups` do not exist, or not under that name; `shared` are users that more than one source has, and
    `shared_groups` are groups that more than one source has.
    """

    users: Mapping[str, str]
    groups: Mapping[str, str]
    shared: Mapping[str, str]
    shared_groups: Mapping[str, str] = field(default_factory=dict)


def named_users(policies: PolicySet) -> frozenset[str]:
    """The users that rules and groups of the tree name, the owners of robots, and the administrators."""
    people = [*_people_of_rules(policies), policies.administrators]
    groups = policies.groups.by_name.values()
    named = frozenset[str]().union(*(one.users for one in people), *(group.users for group in groups))
    return _people(named).union(*(users for users, _ in map(owners_of, policies.robots.values())))


def named_groups(policies: PolicySet) -> frozenset[str]:
    """The groups that must come from a user source: in a rule, as the owner of a robot or as administrators without
    being defined in the tree, or in `groups:`.
    """
    people = [*_people_of_rules(policies), policies.administrators]
    known = policies.groups.by_name
    members = (group.groups for group in known.values())
    named = frozenset[str]().union(*(one.groups - known.keys() for one in people), *members)
    return directory_groups(named).union(*(owned_groups(policies, one) for one in policies.robots.values()))


def owned_groups(policies: PolicySet, robot: Robot) -> frozenset[str]:
    """The groups that own a robot and are no groups of the tree."""
    return owners_of(robot)[1] - policies.groups.by_name.keys()


def owners_of(robot: Robot) -> tuple[frozenset[str], frozenset[str]]:
    """The users and the groups that own a robot."""
    split = [owner.partition(":") for owner in robot.owners]
    users, groups = (frozenset(name for sort, _, name in split if sort == wanted) for wanted in ("user", "group"))
    return users, groups


def _people_of_rules(policies: PolicySet) -> Iterator[Principals]:
    return (one for rule in policies.rules for one in (rule.to, rule.excluded or _NOBODY))


def _people(users: frozenset[str]) -> frozenset[str]:
    """These without robots."""
    return frozenset(one for one in users if robot_of(one) is None)


def directory_groups(groups: frozenset[str]) -> frozenset[str]:
    """These without the `membership` of workloads."""
    return frozenset(one for one in groups if workload_of(one) is None)


def unknown_name_findings(
    policies: PolicySet, files: Iterable[tuple[str, Document]], unknown: UnknownNames
) -> Iterator[LocatedFinding]:
    """A finding for each name with a problem, at the line of each rule, group and robot that names it."""
    for rule in policies.rules:
        for people in (rule.to, rule.excluded or _NOBODY):
            groups = people.groups - policies.groups.by_name.keys()
            yield from name_findings(rule.file, rule.line, rule.id, (people.users, groups), unknown)
    for file, document in files:
        for place, line in document.lines.items():
            if len(place) == 2 and place[0] == "groups":
                group = _group(policies, str(place[1]), file)
                yield from name_findings(file, line, str(place[1]), (group.users, group.groups), unknown)
    for robot in policies.robots.values():
        owners = owners_of(robot)[0], owned_groups(policies, robot)
        yield from name_findings(robot.file, robot.line, f"robot:{robot.name}", owners, unknown)


def _group(policies: PolicySet, name: str, file: str) -> Group:
    known = policies.groups.written
    return known.get(owned_name(name, file)) or known[name]


def name_findings(
    file: str, line: int, what: str, names: tuple[frozenset[str], frozenset[str]], unknown: UnknownNames
) -> Iterator[LocatedFinding]:
    """A finding for each of these users and groups that has a problem; `what` names them."""
    users, groups = names
    for user in sorted(users & unknown.users.keys()):
        yield file, line, "TS301", f"{what}: the user {user!r} {unknown.users[user]}"
    for group in sorted(groups & unknown.groups.keys()):
        yield file, line, "TS302", f"{what}: the group {group!r} {unknown.groups[group]}"
    for user in sorted(users & unknown.shared.keys()):
        yield file, line, "TS303", f"{what}: the user {user!r} {unknown.shared[user]}"
    for group in sorted(groups & unknown.shared_groups.keys()):
        yield file, line, "TS303", f"{what}: the group {group!r} {unknown.shared_groups[group]}"
