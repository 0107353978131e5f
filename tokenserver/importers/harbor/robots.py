"""Robots of Harbor as robots here: their names, what they may do, and what about them has no counterpart. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tokenserver.importers.harbor.model import HarborExport, HarborPermission, HarborRobot
from tokenserver.importers.legal_names import user_problem
from tokenserver.importers.policy_text import PolicyTest, RobotText, RuleText
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.unique_names import MAX_MACHINE, UniqueNames, as_machine_name, as_rule_id
from tokenserver.scopes import in_order

DEFAULT_PREFIX = "robot$"
MAX_DESCRIPTION = 300

_ACTIONS = {"pull", "push", "delete"}
_WITHOUT_EFFECT = {("repository", "list"), ("repository", "read"), ("artifact", "read"), ("artifact", "list")}
_RENEWED = "its secret cannot be exported, so it gets a new one; and it ends on a date"
MAX_TESTS = 200


@dataclass(slots=True)
class RobotsResult:
    """What became of the robots. `declared` are the names of those that need a secret, as users or as robots."""

    robots: list[RobotText] = field(default_factory=list)
    rules: list[RuleText] = field(default_factory=list)
    tests: list[PolicyTest] = field(default_factory=list)
    constructs: list[Construct] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)


def translate_robots(
    export: HarborExport, projects: Collection[str], ids: UniqueNames, now: datetime, *, as_users: bool
) -> RobotsResult:
    """The robots of an export; `projects` are the names of those that exist here, `ids` gives the ids of rules.

    With `as_users` they are users of the users file, who keep their names (`robot$web+ci`); else robots of the
    policies, whose names have other characters (`web.ci`).
    """
    result = RobotsResult()
    names = UniqueNames(limit=MAX_MACHINE)
    prefix = export.setting("robot_name_prefix", DEFAULT_PREFIX)
    for robot in export.robots:
        reason, instead = _ended(robot, now)
        if as_users and not reason and (problem := user_problem(robot.name)):
            reason, instead = problem, "a robot of the policies"
        if reason:
            result.constructs.append(Construct(robot.place, robot.name, Verdict.NOT_TRANSLATED, reason, instead))
            continue
        if as_users:
            name, principal, client = robot.name, f"user:{robot.name}", {"user": robot.name}
        else:
            name = names.give(as_machine_name(robot.name.removeprefix(prefix).replace("+", ".")))
            principal, client = f"robot:{name}", {"robot": name}
            result.robots.append(RobotText(name, _description(robot)))
        result.declared.append(name)
        rules = _rules(robot, principal, projects, ids)
        result.rules += rules
        for rule in rules:
            if rule.repositories and len(result.tests) < MAX_TESTS:
                place = rule.repositories[0].removesuffix("**").removesuffix("/") or "example"
                result.tests.append(PolicyTest(client, can=tuple(f"{one} {place}/image" for one in rule.actions)))
        note = f"it logs in as {name}, or as token; {_RENEWED}" if not as_users else _RENEWED
        if any(one.kind == "project" and one.namespace == "*" for one in robot.permissions):
            note += "; all projects are all repositories here, also those of no project"
        secret = f"tokenserver robots secret new {name} --for-file" if not as_users else "tokenserver users set"
        became = (principal, *(rule.id for rule in rules))
        result.constructs.append(
            Construct(robot.place, robot.name, Verdict.DIFFERENT, note, secret, became=became),
        )
        result.constructs += _left_out(robot, projects)
    return result


def _ended(robot: HarborRobot, now: datetime) -> tuple[str, str]:
    """Why a robot cannot log in at Harbor either, and what to do; both empty if it can."""
    if robot.is_disabled:
        return "the robot is disabled", "declare it in the policies when it is needed again"
    if robot.expires_at >= 0 and robot.expires_at <= now.timestamp():
        try:
            day = f" on {datetime.fromtimestamp(robot.expires_at, UTC):%Y-%m-%d}"
        except (ValueError, OverflowError, OSError):  # pragma: no cover - a time in the past has a date
            day = ""
        return f"the robot has expired{day}", "declare it in the policies if it is needed"
    return "", ""


def _description(robot: HarborRobot) -> str:
    text = f"{robot.name} at Harbor" + (f": {robot.description}" if robot.description else "")
    return "".join(letter if letter.isprintable() else " " for letter in text)[:MAX_DESCRIPTION]


def _rules(robot: HarborRobot, principal: str, projects: Collection[str], ids: UniqueNames) -> list[RuleText]:
    """A rule for each set of actions that the robot has on some projects, and one for the catalog."""
    by_project: dict[str, set[str]] = {}
    denied = {action for one in robot.permissions for resource, action in one.denied if resource == "repository"}
    for permission in robot.permissions:
        actions = {action for resource, action in permission.access if resource == "repository"} & _ACTIONS - denied
        if (
            permission.kind == "project"
            and actions
            and (permission.namespace == "*" or permission.namespace in projects)
        ):
            by_project.setdefault(permission.namespace, set()).update(actions)
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for project, actions in by_project.items():
        pattern = "**" if project == "*" else f"{project}/**"
        by_actions.setdefault(tuple(in_order(actions)), []).append(pattern)
    wanted = as_rule_id(principal.replace(":", "-"))
    rules = [
        RuleText(ids.give(wanted), (principal,), tuple(patterns), actions, comment=robot.name)
        for actions, patterns in by_actions.items()
    ]
    if any(_is_catalog(permission) for permission in robot.permissions):
        rules.append(RuleText(ids.give(f"{wanted}-catalog"), (principal,), registry=("catalog",), actions=("*",)))
    return rules


def _is_catalog(permission: HarborPermission) -> bool:
    return permission.kind == "system" and ("catalog", "read") in permission.access


def _left_out(robot: HarborRobot, projects: Collection[str]) -> list[Construct]:
    """What of the robot's permissions has no counterpart: unknown kinds, missing projects, and other resources."""
    found = []
    for permission in robot.permissions:
        text = f"{robot.name}: {permission.kind} {permission.namespace}"
        if permission.kind not in ("project", "system"):
            note = f"the kind {permission.kind!r} is not known, so nothing was granted"
            found.append(Construct(robot.place, text, Verdict.NOT_TRANSLATED, note, "a rule, if it grants something"))
            continue
        if permission.kind == "project" and permission.namespace != "*" and permission.namespace not in projects:
            note = "the export has no such project that could be translated"
            found.append(Construct(robot.place, text, Verdict.NOT_TRANSLATED, note))
            continue
        if permission.denied:
            denied = ", ".join(sorted({f"{resource}:{action}" for resource, action in permission.denied}))
            note = f"deny of {denied} was taken away from all that the robot may do"
            found.append(Construct(robot.place, text, Verdict.NOT_TRANSLATED, note, "a rule under deny"))
        others = {pair for pair in permission.access if not _is_translated(permission.kind, pair)} - _WITHOUT_EFFECT
        if others:
            listed = ", ".join(sorted(f"{resource}:{action}" for resource, action in others))
            instead = "push for uploads, delete for removals; the rest is Harbor's own and needs Harbor's API"
            note = f"there is no counterpart of {listed}"
            found.append(Construct(robot.place, text, Verdict.NOT_TRANSLATED, note, instead))
    return found


def _is_translated(kind: str, pair: tuple[str, str]) -> bool:
    resource, action = pair
    return (kind == "project" and resource == "repository" and action in _ACTIONS) or (
        kind == "system" and pair == ("catalog", "read")
    )
