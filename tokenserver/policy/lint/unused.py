"""Lint rules for definitions: groups, roles, robots and workloads that no rule uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenserver.documents.document import parse
from tokenserver.patterns import SegmentKind
from tokenserver.policy.group_names import is_root, owned_name
from tokenserver.policy.groups import included
from tokenserver.policy.lint.captures import captured_groups
from tokenserver.policy.lint.single_rules import reaches_anonymous
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import LocatedFinding, owners_of
from tokenserver.policy.machines.robots import Robot, robot_of
from tokenserver.policy.machines.workloads import Workload, base_of, is_declared, workload_of
from tokenserver.policy.model import PolicySet, Principal, Principals
from tokenserver.policy.principals import client_principal, group_principal, principals_of
from tokenserver.policy.testing.expectations import AsTest, Test, WhatTest, WhoTest


def unused_findings(policies: PolicySet, files: Sequence[LintedFile]) -> Iterator[LocatedFinding]:
    """Groups that no rule, no delegation, no robot and no used group names and that are no administrators, roles that
    no rule has, and idle machines.

    Where a rule has `${group}`, every group of a root file is used; where a rule captures a part of group names, those
    that fit are. Tests are no use: they grant nothing. Machines are used by rules, groups and tests.
    """
    contents = {file.name: _content(file) for file in files}
    used = _used_groups(policies, contents.values())
    is_any = any(one.uses(SegmentKind.GROUP) and not one.captures for rule in policies.rules for one in rule.patterns)
    roles = {file.name: {str(rule["role"]) for rule in _rules(contents[file.name]) if "role" in rule} for file in files}
    of_all = frozenset[str]().union(*roles.values())
    for file in files:
        is_known_everywhere = is_root(file.name)
        for name in contents[file.name].get("groups", ()):
            own = owned_name(name, file.name)
            in_tree = own if own in policies.groups.written else name
            if in_tree not in used and not (is_any and is_known_everywhere):
                text = f"no rule uses the group {name!r}; fix: remove it, or name it in a rule"
                yield file.name, file.document.line(("groups", name)), "TS120", text
        for name in contents[file.name].get("roles", ()):
            if name not in (of_all if is_known_everywhere else roles[file.name]):
                text = f"no rule uses the role {name!r}; fix: remove it, or use it in a rule"
                yield file.name, file.document.line(("roles", name)), "TS120", text
    yield from _idle_machines(policies, files)


def _idle_machines(policies: PolicySet, files: Sequence[LintedFile]) -> Iterator[LocatedFinding]:
    """Robots and workloads that no rule, no group and no test is about, and that are no administrators.

    A rule for everyone is about them only where it does not apply without a login.
    """
    known = policies.groups
    if not policies.robots and not known.workloads.by_name:
        return
    named = [one for rule in policies.rules for one in (rule.to, rule.excluded) if one is not None]
    named.append(policies.administrators)
    named += [Principals(users=group.users, groups=group.groups) for group in known.written.values()]
    named += [principals_of(_tested(policies, test)) for file in files for test in file.tests]
    every = [rule for rule in policies.rules if rule.to.everyone and not reaches_anonymous(rule)]
    of_all = [rule.to for rule in policies.rules if not rule.capturing]
    users = frozenset[str]().union(*(one.users for one in named))
    names = {base_of(name) for one in named for group in one.groups if (name := workload_of(group)) is not None}
    documents = {file.name: file.document for file in files}
    idle: list[tuple[str, Robot | Workload]] = []
    if not every and not any(one.robots for one in of_all):
        idle += [("robot", one) for one in policies.robots.values() if one.subject not in users]
    if not every and not any(one.workloads for one in of_all) and "" not in names:
        declared = (one for one in known.workloads.by_name.values() if is_declared(one.name))
        idle += [("workload", one) for one in declared if one.name not in names]
    for sort, machine in idle:
        if machine.file in documents:
            line = documents[machine.file].line((f"{sort}s", machine.name))
            text = f"no rule, group or test is about {sort}:{machine.name}; fix: remove it, or name it in a rule"
            yield machine.file, line, "TS120", text


def _tested(policies: PolicySet, test: Test) -> Iterator[Principal]:
    """The machines that a test is about."""
    match test:
        case AsTest():
            if robot_of(test.identity.subject) is not None:
                yield client_principal(test.identity.subject)
            yield from map(group_principal, sorted(policies.groups.holding(test.identity)))
        case WhoTest():
            yield from (one for found in test.answers for one in found)
        case WhatTest():  # pragma: no branch - the type checker proves that none is left
            yield test.who


def _used_groups(policies: PolicySet, contents: Iterable[dict[str, Any]]) -> frozenset[str]:
    people = [one for rule in policies.rules for one in (rule.to, rule.excluded) if one is not None]
    named = frozenset[str]().union(*(one.groups for one in people))
    entries = (entry for content in contents for entry in content.get("delegate", ()))
    named |= {str(one).removeprefix("group:") for entry in entries for one in entry.get("principals", ())}
    written = policies.groups.written
    named = named.union(*(owners_of(robot)[1] for robot in policies.robots.values()))
    named |= policies.administrators.groups
    named |= captured_groups(policies)
    return frozenset(group.name for name in named for group in included(written, name))


def _rules(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for effect in ("allow", "deny"):
        yield from content.get(effect, ())


def _content(file: LintedFile) -> dict[str, Any]:
    """The content of a file, which compiling does not keep."""
    value: dict[str, Any] = file.document.value or parse(file.text, file.name).value
    return value
