"""Policy files as an importer writes them: values in, YAML text out, with a comment for each rule. Pure.

What the values mean is in docs/design/policy-language.md; that they are right is for the loader to say, which reads
what was written before the folder appears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokenserver.documents.yaml_text import yaml_comment, yaml_flow_scalar, yaml_list, yaml_scalar


@dataclass(frozen=True, slots=True)
class RuleText:
    """One rule: the keys of the policy language, of which empty ones are left out, and a comment above it.

    Exactly one of `repositories` and `registry`, and one of `role` and `actions`, is not empty. `when` has the text or
    the texts of each condition.
    """

    id: str
    to: tuple[str, ...]
    repositories: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    role: str = ""
    registry: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    """The patterns under `not`."""
    when: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    message: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class GroupText:
    """One group of the tree, with its members by their sort; a comment above it."""

    name: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    robots: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class RobotText:
    """One robot that the tree declares, without secrets."""

    name: str
    description: str = ""
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One test: who, and what that client can and cannot, as `push web/site`.

    `client` has the keys of `as`: `user` and perhaps `groups`, or `robot`; empty is an anonymous client. `settings` are
    `service`, `from`, `at` and `kind`.
    """

    client: Mapping[str, str | tuple[str, ...]]
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One policy file."""

    header: str = ""
    registries: tuple[str, ...] = ()
    administrators: tuple[str, ...] = ()
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    robots: tuple[RobotText, ...] = ()
    groups: tuple[GroupText, ...] = ()
    allow: tuple[RuleText, ...] = ()
    deny: tuple[RuleText, ...] = ()
    tests: tuple[PolicyTest, ...] = ()


def policy_yaml(policy: PolicyText) -> str:
    """The text of a policy file."""
    return "".join(_sections(policy))


def _sections(policy: PolicyText) -> Iterable[str]:
    if policy.header:
        yield yaml_comment(policy.header)
    yield "version: 1\n"
    if policy.registries:
        yield f"registries: {yaml_list(policy.registries)}\n"
    if policy.administrators:
        yield f"administrators: {yaml_list(policy.administrators)}\n"
    yield from _section(
        "roles", (f"  {yaml_scalar(name)}: {yaml_list(actions)}\n" for name, actions in policy.roles.items())
    )
    yield from _section("robots", map(_robot, policy.robots))
    yield from _section("groups", map(_group, policy.groups))
    yield from _section("allow", map(_rule, policy.allow))
    yield from _section("deny", map(_rule, policy.deny))
    yield from _section("tests", map(_test, policy.tests))


def _section(name: str, entries: Iterable[str]) -> Iterable[str]:
    text = "".join(entries)
    if text:
        yield f"\n{name}:\n{text}"


def _robot(robot: RobotText) -> str:
    lines = [f"  {yaml_scalar(robot.name)}:\n"]
    if robot.description:
        lines.append(f"    description: {yaml_scalar(robot.description)}\n")
    if robot.owners:
        lines.append(f"    owners: {yaml_list(robot.owners)}\n")
    return "".join(lines)


def _group(group: GroupText) -> str:
    members = {"users": group.users, "groups": group.groups, "includes": group.includes, "robots": group.robots}
    parts = ", ".join(f"{sort}: {yaml_list(names)}" for sort, names in members.items() if names)
    comment = yaml_comment(group.comment, "  ") if group.comment else ""
    return f"{comment}  {yaml_scalar(group.name)}: {{{parts}}}\n"


def _rule(rule: RuleText) -> str:
    lists = {
        "to": rule.to,
        "except": rule.exceptions,
        "repositories": rule.repositories,
        "registry": rule.registry,
        "not": rule.besides,
        "actions": rule.actions,
    }
    lines = [yaml_comment(rule.comment, "  ")] if rule.comment else []
    lines.append(f"  - id: {yaml_scalar(rule.id)}\n")
    lines.extend(f"    {key}: {yaml_list(texts)}\n" for key, texts in lists.items() if texts)
    if rule.role:
        lines.append(f"    role: {yaml_scalar(rule.role)}\n")
    if rule.when:
        lines.append(f"    when: {_mapping(rule.when)}\n")
    if rule.message:
        lines.append(f"    message: {yaml_scalar(rule.message)}\n")
    return "".join(lines)


def _test(test: PolicyTest) -> str:
    parts = [f"as: {_mapping(test.client) if test.client else 'anonymous'}"]
    parts += [f"{key}: {yaml_flow_scalar(value)}" for key, value in test.settings.items()]
    parts += [f"{key}: {yaml_list(said)}" for key, said in (("can", test.can), ("cannot", test.cannot)) if said]
    return f"  - {{{', '.join(parts)}}}\n"


def _mapping(values: Mapping[str, str | tuple[str, ...]]) -> str:
    texts = (
        f"{key}: {yaml_flow_scalar(value) if isinstance(value, str) else yaml_list(value)}"
        for key, value in values.items()
    )
    return f"{{{', '.join(texts)}}}"
