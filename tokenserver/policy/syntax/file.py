"""Syntax of one policy file: from a strict YAML document to rules, groups, roles and tests that are not linked yet.

All faults of a file by itself are found here; those that depend on other files (duplicate ids, unknown roles,
delegation) are found in `loading`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenserver.documents.document import Document, Path
from tokenserver.errors import Fault
from tokenserver.patterns import Pattern
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Required, Workload
from tokenserver.policy.model import BUILT_IN_ROLES, Condition, Effect, Group, Principal, Principals
from tokenserver.policy.principals import principals_of
from tokenserver.policy.syntax.administrators import read_administrators
from tokenserver.policy.syntax.captures import Recipients, read_recipients, read_repositories
from tokenserver.policy.syntax.conditions import read_when
from tokenserver.policy.syntax.delegation import Delegation, read_delegation
from tokenserver.policy.syntax.groups import read_group
from tokenserver.policy.syntax.machines import read_robot, read_workload
from tokenserver.policy.syntax.named_machines import machines_named, sources_named
from tokenserver.policy.syntax.reader import Reader, one_of
from tokenserver.policy.syntax.tests import read_tests
from tokenserver.policy.syntax.where_claims import NO_CONDITION, read_where
from tokenserver.policy.terms import parse_name, parse_principal, parse_registry_resource, parse_rule_id
from tokenserver.policy.testing.expectations import Test, WhoTest
from tokenserver.scopes import ACTIONS

VERSION = 1

_RULE_KEYS = ("id", "to", "except", "repositories", "not", "registry", "role", "actions", "when", "message")
_RULE_HINTS = {
    "exclude": "did you mean 'not' (patterns) or 'except' (principals)?",
    "without": "did you mean 'not'?",
    "not_repositories": "did you mean 'not'?",
}
MAX_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """A rule as written in its file, before its role is looked up. Exactly one of `actions` and `role` is set.

    `without` is what it says under `not`, `capturing` the principals with captures.
    """

    place: Path
    id: str
    effect: Effect
    to: Principals
    excluded: Principals | None
    resource_type: str
    patterns: tuple[Pattern, ...]
    actions: frozenset[str] | None
    role: str | None
    condition: Condition | None
    message: str | None
    without: tuple[Pattern, ...] = ()
    capturing: tuple[str, ...] = ()


@dataclass(slots=True)
class PolicyFile:
    """The content of one file. If it has faults, it holds what could be read, so that the rest is checked too.

    The entries of `ids` and `roles_used` (without built-in roles) have the place of their rule. `machines_used` are the
    robots and workloads that it names, `sources_used` the workload sources.
    """

    document: Document
    faults: list[Fault]
    registries: list[str] = field(default_factory=list)
    services: list[tuple[Path, str]] = field(default_factory=list)
    groups: list[tuple[Path, Group]] = field(default_factory=list)
    roles: list[tuple[Path, str, frozenset[str]]] = field(default_factory=list)
    ids: list[tuple[Path, str]] = field(default_factory=list)
    roles_used: list[tuple[Path, str]] = field(default_factory=list)
    rules: list[RuleDraft] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    robots: list[tuple[Path, Robot]] = field(default_factory=list)
    workloads: list[tuple[Path, Workload]] = field(default_factory=list)
    machines_used: list[tuple[Path, Principal]] = field(default_factory=list)
    sources_used: list[tuple[Path, str]] = field(default_factory=list)
    where: list[tuple[str, Required]] = field(default_factory=list)
    """The workloads of rules with `when: {claims: …}`, by name (empty: any), with those claims."""
    administrators: list[tuple[Path, Principal]] | None = None
    """None: the file does not say it; a delegated file must not, even if no entry can be read."""
    delegations: list[Delegation] = field(default_factory=list)
    delegates: bool = False
    delegates_unknown: bool = False
    """Whether an entry under `delegate` does not say which file it is about."""


def read_policy_file(document: Document) -> PolicyFile:
    """Read one document; faults are in the result, none is raised."""
    reader = Reader(document)
    file = PolicyFile(document, reader.faults)
    if document.value is None:
        reader.fault((), "is empty; a policy file begins with: version: 1")
        return file
    content = reader.mapping(document.value, (), _FILE_KEYS, {"not": "fix: write it in a rule, beside repositories"})
    if not content:
        return file
    _read_version(reader, content)
    for key, read in _SECTIONS.items():
        if key in content:
            read(reader, content[key], file)
    rules = ((draft.place, draft.to, draft.excluded) for draft in file.rules)
    file.machines_used += machines_named(rules, file.groups, file.delegations, file.tests)
    file.sources_used += sources_named(file.workloads, file.delegations, file.tests)
    if not content.keys() & _CONTENT_KEYS and not reader.faults:
        reader.fault(
            (),
            "says nothing: it has no administrators, groups, machines, roles, rules, delegations or tests; "
            "is the file complete?",
        )
    return file


def _read_delegations(reader: Reader, value: Any, file: PolicyFile) -> None:
    file.delegates = True  # even if no entry can be read: a delegated file must not have the key
    file.delegates_unknown = not isinstance(value, list)
    for place, item in reader.items(value, ("delegate",)):
        delegation = read_delegation(reader, item, place)
        if delegation is not None:
            file.delegations.append(delegation)
        else:
            file.delegates_unknown = True


def _read_registries(reader: Reader, value: Any, file: PolicyFile) -> None:
    for place, item in reader.items(value, ("registries",)):
        service = reader.text(item, place)
        if service is not None:
            file.registries.append(service)
            file.services.append((place, service))


def _read_allow(reader: Reader, value: Any, file: PolicyFile) -> None:
    for place, item in reader.items(value, ("allow",)):
        _read_rule(reader, item, place, Effect.ALLOW, file)


def _read_deny(reader: Reader, value: Any, file: PolicyFile) -> None:
    for place, item in reader.items(value, ("deny",)):
        _read_rule(reader, item, place, Effect.DENY, file)


def _read_tests(reader: Reader, value: Any, file: PolicyFile) -> None:
    for place, item in reader.items(value, ("tests",)):
        tests = read_tests(reader, item, place)
        file.tests += tests
        file.where += (one for test in tests if isinstance(test, WhoTest) for one in test.where)
        service = tests[0].setting.service if tests else None
        if service is not None:
            file.services.append(((*place, "service"), service))


def _read_version(reader: Reader, content: dict[str, Any]) -> None:
    if "version" not in content:
        reader.fault((), f"version is missing; write: version: {VERSION}")
    elif type(content["version"]) is not int or content["version"] != VERSION:
        reader.fault(("version",), f"must be {VERSION}, the only version of the policy language so far")


def _read_administrators(reader: Reader, value: Any, file: PolicyFile) -> None:
    file.administrators = read_administrators(reader, value)
    file.machines_used += (one for one in file.administrators if one[1].sort in ("robot", "workload"))


def _read_groups(reader: Reader, value: Any, file: PolicyFile) -> None:
    for key, item in reader.mapping(value, ("groups",)).items():
        group = read_group(reader, key, item, ("groups", key))
        if group is not None:
            file.groups.append((("groups", key), group))


def _read_robots(reader: Reader, value: Any, file: PolicyFile) -> None:
    for key, item in reader.mapping(value, ("robots",)).items():
        robot = read_robot(reader, key, item, ("robots", key))
        if robot is not None:
            file.robots.append((("robots", key), robot))


def _read_workloads(reader: Reader, value: Any, file: PolicyFile) -> None:
    for key, item in reader.mapping(value, ("workloads",)).items():
        workload = read_workload(reader, key, item, ("workloads", key))
        if workload is not None:
            file.workloads.append((("workloads", key), workload))


def _read_roles(reader: Reader, value: Any, file: PolicyFile) -> None:
    for key, item in reader.mapping(value, ("roles",)).items():
        place: Path = ("roles", key)
        name = reader.term(key, place, parse_name)
        actions = _read_actions(reader, item, place)
        if name in BUILT_IN_ROLES:
            reader.fault(place, f"{name} is a built-in role; fix: rename yours")
        elif name is not None:
            file.roles.append((place, name, actions))


def _read_actions(reader: Reader, value: Any, place: Path) -> frozenset[str]:
    return frozenset(reader.terms(value, place, one_of(ACTIONS, "action")))


def _read_rule(reader: Reader, value: Any, place: Path, effect: Effect, file: PolicyFile) -> None:
    faults = len(reader.faults)
    content = reader.mapping(value, place, _RULE_KEYS, _RULE_HINTS)
    if not content:
        return
    rule_id = reader.term(content["id"], (*place, "id"), parse_rule_id) if "id" in content else None
    if rule_id is not None:
        file.ids.append((place, rule_id))
    to, excluded = read_recipients(reader, content, place), _read_excluded(reader, content, place)
    for key, example in (("id", "id: web-developers"), ("to", 'to: ["group:web"]')):
        if key not in content:
            reader.fault(place, f"{key} is missing; for example {example}")
    resource_type, patterns, without = _read_patterns(reader, content, place, to)
    actions, role = _read_what(reader, content, place)
    if role is not None and role not in BUILT_IN_ROLES:
        file.roles_used.append((place, role))
    when, to, where = read_where(reader, content, place, to)
    file.where += where
    condition = read_when(reader, when, (*place, "when")) if when is not NO_CONDITION else None
    message = reader.line(content["message"], (*place, "message"), MAX_MESSAGE) if "message" in content else None
    if "message" in content and effect is Effect.ALLOW:
        reader.fault((*place, "message"), "only a deny rule has a message")
    if len(reader.faults) == faults and rule_id is not None and to is not None:
        file.rules.append(
            RuleDraft(
                *(place, rule_id, effect, to.principals, excluded, resource_type, patterns, actions, role),
                *(condition, message, without, to.written),
            )
        )


def _read_excluded(reader: Reader, content: dict[str, Any], place: Path) -> Principals | None:
    if "except" not in content:
        return None
    return principals_of(reader.terms(content["except"], (*place, "except"), parse_principal))


def _read_patterns(
    reader: Reader, content: dict[str, Any], place: Path, to: Recipients | None
) -> tuple[str, tuple[Pattern, ...], tuple[Pattern, ...]]:
    """The type of the resources, and the patterns that cover them, and those that take some away."""
    if ("repositories" in content) == ("registry" in content):
        reader.fault(place, "needs exactly one of repositories (patterns) and registry (such as [catalog])")
    if "not" in content and "repositories" not in content:
        reader.fault((*place, "not"), "takes something away from repositories, which the rule does not have")
    if "registry" in content:
        if to is not None and to.variable:
            reader.fault((*place, "to"), f"captures {{{to.variable}}}, which a registry's resource cannot use")
        names = reader.terms(content["registry"], (*place, "registry"), parse_registry_resource)
        return "registry", tuple(names), ()
    if "repositories" in content:
        return "repository", *read_repositories(reader, content, place, to)
    return "", (), ()


def _read_what(reader: Reader, content: dict[str, Any], place: Path) -> tuple[frozenset[str] | None, str | None]:
    if ("role" in content) == ("actions" in content):
        reader.fault(place, "needs exactly one of role (such as writer) and actions (such as [pull, push])")
    actions = _read_actions(reader, content["actions"], (*place, "actions")) if "actions" in content else None
    role = reader.text(content["role"], (*place, "role")) if "role" in content else None
    return actions, role


_SECTIONS: Mapping[str, Callable[[Reader, Any, PolicyFile], None]] = {
    "registries": _read_registries,
    "administrators": _read_administrators,
    "robots": _read_robots,
    "workloads": _read_workloads,
    "groups": _read_groups,
    "roles": _read_roles,
    "delegate": _read_delegations,
    "allow": _read_allow,
    "deny": _read_deny,
    "tests": _read_tests,
}
_FILE_KEYS = ("version", *_SECTIONS)
_CONTENT_KEYS = _SECTIONS.keys() - {"registries"}
