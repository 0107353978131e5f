"""Syntax of one entry under `groups:` in a policy file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenserver.documents.document import Path
from tokenserver.policy.machines.robots import parse_machine_name
from tokenserver.policy.machines.robots import subject_of as robot_subject
from tokenserver.policy.machines.workloads import membership
from tokenserver.policy.model import Group
from tokenserver.policy.syntax.reader import Reader
from tokenserver.policy.terms import parse_group, parse_user

_MEMBERS: Mapping[str, Callable[[str], str]] = {
    "users": parse_user,
    "groups": parse_group,
    "includes": parse_group,
    "robots": parse_machine_name,
    "workloads": parse_machine_name,
}


def read_group(reader: Reader, name: str, value: Any, place: Path) -> Group | None:
    """Read one entry; None if its name cannot be read. Members that cannot be read are left out."""
    known = reader.term(name, place, parse_group)
    content = reader.mapping(value, place, tuple(_MEMBERS))
    members = {
        sort: frozenset(reader.terms(content[sort], (*place, sort), parse)) if sort in content else frozenset()
        for sort, parse in _MEMBERS.items()
    }
    if known is None:
        return None
    users = members["users"].union(map(robot_subject, members["robots"]))
    groups = members["groups"].union(map(membership, members["workloads"]))
    return Group(known, users, groups, members["includes"])
