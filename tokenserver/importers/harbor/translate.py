"""An export of Harbor as policies: groups and rules by project and role, public projects, administrators. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tokenserver.importers.harbor.model import ROLES, HarborExport, HarborMember, HarborProject
from tokenserver.importers.harbor.robots import RobotsResult, translate_robots
from tokenserver.importers.harbor.user_groups import GroupNames
from tokenserver.importers.legal_names import repository_problem, user_problem
from tokenserver.importers.policy_text import GroupText, PolicyTest, PolicyText, RuleText
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.unique_names import UniqueNames, as_rule_id

PROJECTS_PER_FILE = 500
MAX_TESTS = 100
"""Tests of one file; every start runs them."""

_ROLE_WORDS = {("pull",): "reader", ("pull", "push"): "writer", ("pull", "push", "delete"): "maintainer"}
_EXAMPLE = "example-image"


@dataclass(frozen=True, slots=True)
class HarborPolicies:
    """The policy files by name, and what became of the export.

    `users` are those that need a password, with those of them that were robots also in `user_robots`; `robots` need a
    secret. All are in their order.
    """

    files: Mapping[str, PolicyText]
    constructs: tuple[Construct, ...]
    is_anonymous: bool
    users: tuple[str, ...]
    robots: tuple[str, ...]
    user_robots: tuple[str, ...]

    @property
    def grants(self) -> bool:
        """Whether anybody may do anything; a server does not start with policies without a rule."""
        return any(file.allow for file in self.files.values())


@dataclass(slots=True)
class _HarborTranslation:
    export: HarborExport
    groups: GroupNames
    ids: UniqueNames = field(default_factory=UniqueNames)
    constructs: list[Construct] = field(default_factory=list)

    def lost(self, place: str, text: str, note: str, instead: str = "") -> None:
        """Report something that has no counterpart."""
        self.constructs.append(Construct(place, text, Verdict.NOT_TRANSLATED, note, instead))

    def projects(self) -> list[HarborProject]:
        """The projects whose repositories can have names here, each once."""
        legal: dict[str, HarborProject] = {}
        for project in self.export.projects:
            problem = repository_problem(f"{project.name}/**") or ("it is there twice" if project.name in legal else "")
            if problem or "*" in project.name or "$" in project.name:
                self.lost(project.place, project.name, problem or "the name has characters with a meaning in policies")
            else:
                legal[project.name] = project
        return list(legal.values())

    def file(self, projects: Sequence[HarborProject]) -> PolicyText:
        """The groups, rules and tests of some projects."""
        groups: list[GroupText] = []
        rules: list[RuleText] = []
        tests: list[PolicyTest] = []
        public = [project for project in projects if project.is_public]
        public_id = self.ids.give("public") if public else ""
        for project in projects:
            added = list(self._roles(project))
            groups += [group for group, _ in added]
            rules += [rule for _, rule in added]
            tests += _tests(project, added)
            self._report(project, (*(rule.id for _, rule in added), *([public_id] if project.is_public else [])))
        if public:
            patterns = tuple(f"{project.name}/**" for project in public)
            comment = "public projects: anybody pulls, logged in or not"
            rules.append(RuleText(public_id, ("everyone",), patterns, role="reader", comment=comment))
        header = "Projects of Harbor: a group for each role that has members, and what it may do."
        return PolicyText(header, groups=tuple(groups), allow=tuple(rules), tests=tuple(tests[:MAX_TESTS]))

    def _roles(self, project: HarborProject) -> Iterator[tuple[GroupText, RuleText]]:
        by_role: dict[int, list[HarborMember]] = {}
        for member in project.members:
            if self._is_known(project, member):
                by_role.setdefault(member.role_id, []).append(member)
        for role_id, members in sorted(by_role.items()):
            role, actions = ROLES[role_id]
            users, groups = self._members(project, members)
            if users or groups:
                name = self.groups.new(f"{project.name}/{role}")
                group = GroupText(name, users=tuple(users), groups=tuple(groups))
                rule_id = self.ids.give(as_rule_id(f"{project.name}-{role}"))
                yield group, RuleText(rule_id, (f"group:{name}",), (f"{project.name}/**",), role=_ROLE_WORDS[actions])

    def _is_known(self, project: HarborProject, member: HarborMember) -> bool:
        """Whether the role is one of Harbor's; any other grants nothing, and is reported."""
        role, _ = ROLES.get(member.role_id, ("", ()))
        if role and member.role_name in ("", role):
            return True
        problem = f"the role {member.role_id} is {role}, but called {member.role_name!r}"
        if not role:
            problem = f"the role {member.role_id} is not known"
        text = f"{project.name}: {member.name}"
        self.lost(member.place, text, f"{problem}; nothing was granted", "a rule for this member")
        return False

    def _members(self, project: HarborProject, members: Iterable[HarborMember]) -> tuple[list[str], list[str]]:
        """The users and the groups of a directory among the members, each once."""
        users: dict[str, None] = {}
        groups: dict[str, None] = {}
        for member in members:
            text = f"{project.name}: {member.name}"
            if member.sort == "u":
                problem = user_problem(member.name)
                if not problem:
                    users[member.name] = None
            elif member.sort == "g":
                name, problem = self.groups.brought(member.group_id, member.name)
                if not problem:
                    groups[name] = None
            else:
                problem = f"a member of the sort {member.sort!r} is not known; nothing was granted"
            if problem:
                self.lost(member.place, text, problem, "a rule for this member")
        return list(users), list(groups)

    def _report(self, project: HarborProject, became: tuple[str, ...]) -> None:
        self.constructs.append(Construct(project.place, project.name, Verdict.EXACT, became=became))
        if project.is_proxy:
            note = "it is a cache of another registry, which only Harbor fills"
            self.lost(project.place, project.name, note, "a Distribution registry with proxy: of its own")
        if project.extras:
            what = "; ".join(project.extras)
            self.lost(
                project.place, project.name, f"no token server can do this: {what}", "the registry, or the cluster"
            )

    def admins(self, robots: RobotsResult) -> PolicyText:
        """The file of the system administrators and of the robots."""
        users = [name for name in self.export.admins if not user_problem(name)]
        for name in self.export.admins:
            if name not in users:
                self.lost(f"{self.export.file}: users", name, user_problem(name), "another name")
        groups = self.groups.administrators()
        tests = list(robots.tests)
        members: tuple[GroupText, ...] = ()
        rules: tuple[RuleText, ...] = ()
        principals: tuple[str, ...] = ()
        if users or groups:
            name = self.groups.new("harbor/administrators")
            principals = (f"group:{name}",)
            members = (GroupText(name, tuple(dict.fromkeys(users)), tuple(groups)),)
            rules = (
                RuleText(self.ids.give("administrators"), principals, ("**",), role="maintainer"),
                RuleText(self.ids.give("administrators-catalog"), principals, registry=("catalog",), actions=("*",)),
            )
            tests += [PolicyTest({"user": user}, can=(f"delete {_EXAMPLE}/x",)) for user in users[:1]]
            for user in users:
                became = ("administrators", "administrators-catalog")
                place = f"{self.export.file}: users"
                self.constructs.append(Construct(place, f"{user}: sysadmin_flag", Verdict.EXACT, became=became))
        return PolicyText(
            "System administrators and robots of Harbor.",
            administrators=principals,
            robots=tuple(robots.robots),
            groups=members,
            allow=(*rules, *robots.rules),
            tests=tuple(tests),
        )


def translate_harbor(export: HarborExport, now: datetime, *, robots_as_users: bool = False) -> HarborPolicies:
    """The policies that mean the same. What a robot's secret was is nowhere, so each needs a new one."""
    groups = GroupNames(export)
    translation = _HarborTranslation(export, groups)
    projects = translation.projects()
    robots = translate_robots(
        export, {project.name for project in projects}, translation.ids, now, as_users=robots_as_users
    )
    as_users = tuple(robots.declared if robots_as_users else ())
    users = [name for name in export.users if not user_problem(name)]
    files = {"policies/harbor.yaml": translation.admins(robots)}
    for start in range(0, len(projects), PROJECTS_PER_FILE):
        number = f"-{start // PROJECTS_PER_FILE + 1:02}" if len(projects) > PROJECTS_PER_FILE else ""
        files[f"policies/projects{number}.yaml"] = translation.file(projects[start : start + PROJECTS_PER_FILE])
    translation.constructs += groups.constructs + robots.constructs
    return HarborPolicies(
        {name: file for name, file in files.items() if file.groups or file.allow or file.robots},
        tuple(translation.constructs),
        any(project.is_public for project in projects),
        tuple(dict.fromkeys([*users, *as_users])),
        tuple(robots.declared if not robots_as_users else ()),
        as_users,
    )


def _tests(project: HarborProject, added: Iterable[tuple[GroupText, RuleText]]) -> Iterator[PolicyTest]:
    name = f"{project.name}/{_EXAMPLE}"
    for group, rule in added:
        actions = next(actions for actions, role in _ROLE_WORDS.items() if role == rule.role)
        client: dict[str, str | tuple[str, ...]] = (
            {"user": group.users[0]} if group.users else {"groups": group.groups[:1]}
        )
        yield PolicyTest(client, can=tuple(f"{action} {name}" for action in actions))
    yield PolicyTest({}, can=(f"pull {name}",)) if project.is_public else PolicyTest({}, cannot=(f"pull {name}",))
