"""Users, robots and teams of Quay by what policies call them, and what about them has no counterpart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from tokenserver.identity import spell_group
from tokenserver.importers.legal_names import group_problem, user_problem
from tokenserver.importers.policy_text import GroupText, RobotText
from tokenserver.importers.quay.model import TEAM_ROLES, QuayExport, QuayRobot, QuayTeam
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.unique_names import MAX_MACHINE, UniqueNames, as_machine_name

MAX_DESCRIPTION = 300
_NEXT = "a rule for it"


@dataclass(slots=True)
class QuayPeople:
    """The principals of one export. `robots_as_users`: robots are users who keep their names (`web+ci`)."""

    export: QuayExport
    robots_as_users: bool = False
    constructs: list[Construct] = field(default_factory=list)
    robots: dict[str, str] = field(default_factory=dict)
    """The robots that are declared: their names at Quay, and here."""
    groups: dict[str, GroupText] = field(default_factory=dict)
    """The teams that have members, by `ORGANIZATION/TEAM`, which is the name of the group as well."""
    declared: list[RobotText] = field(default_factory=list)
    _disabled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._disabled = {user.name for user in self.export.users if not user.is_enabled}
        for user in self.export.users:
            problem = "the user is disabled" if user.name in self._disabled else user_problem(user.name)
            if problem:
                self.lost(user.place, user.name, problem, "tokenserver users set NAME, when the user is needed")
        names = UniqueNames(limit=MAX_MACHINE)
        for robot in self.export.robots:
            self._declare(robot, names)
        for team in self.export.teams:
            self._add_team(team)

    def lost(self, place: str, text: str, note: str, instead: str = _NEXT) -> None:
        """Report something that has no counterpart."""
        self.constructs.append(Construct(place, text, Verdict.NOT_TRANSLATED, note, instead))

    def problem(self, sort: str, organization: str, name: str) -> str:
        """Why there is no principal for this user, robot or team; empty if there is one."""
        if sort == "user":
            return "the user is disabled" if name in self._disabled else user_problem(name)
        if sort == "robot":
            return "" if name in self.robots else "the export has no such robot"
        if sort == "team":
            return "" if f"{organization}/{name}" in self.groups else "the export has no such team with members"
        return f"{sort!r} is not known; nothing was granted"

    def principal(self, sort: str, organization: str, name: str) -> str:
        """The principal of a user, robot or team without a problem."""
        if sort == "team":
            return f"group:{spell_group(f'{organization}/{name}')}"
        return f"robot:{self.robots[name]}" if sort == "robot" and not self.robots_as_users else f"user:{name}"

    def has_robots(self, team: QuayTeam) -> bool:
        """Whether robots are members of the team."""
        return any("+" in member for member in team.members)

    def _declare(self, robot: QuayRobot, names: UniqueNames) -> None:
        note = "its token cannot be exported, so it gets a new secret"
        if self.robots_as_users:
            problem = user_problem(robot.name)
            if problem:
                self.lost(robot.place, robot.name, problem)
                return
            name, instead = robot.name, "tokenserver users set NAME"
        else:
            name = names.give(as_machine_name(robot.name.replace("+", ".")))
            note = f"it logs in as {name}, or as token; {note}, which ends on a date"
            instead = f"tokenserver robots secret new {name} --for-file"
            text = f"{robot.name} at Quay" + (f": {robot.description}" if robot.description else "")
            line = "".join(letter if letter.isprintable() else " " for letter in text)[:MAX_DESCRIPTION]
            self.declared.append(RobotText(name, line))
        self.robots[robot.name] = name
        became = (self.principal("robot", "", robot.name),)
        self.constructs.append(Construct(robot.place, robot.name, Verdict.DIFFERENT, note, instead, became=became))

    def _add_team(self, team: QuayTeam) -> None:
        name = f"{team.organization}/{team.name}"
        users: dict[str, None] = {}
        robots: dict[str, None] = {}
        for member in team.members:
            sort = "robot" if "+" in member else "user"
            problem = self.problem(sort, team.organization, member)
            if problem:
                self.lost(team.place, f"{name}: {member}", problem)
            elif sort == "robot" and not self.robots_as_users:
                robots[self.robots[member]] = None
            else:
                users[member] = None
        if team.invited:
            self.lost(team.place, name, f"{team.invited} invited people have not joined", "add them when they come")
        if team.role not in TEAM_ROLES:
            self.lost(team.place, name, f"the role {team.role!r} of the team is not known; it grants nothing by itself")
        if team.role == "creator":
            note = "members create repositories in the organization; here that takes push on a name"
            self.lost(team.place, name, note, f"a rule for group:{name} on {team.organization}/NAME/**")
        problem = group_problem(name)
        if problem:
            self.lost(team.place, name, problem)
        elif users or robots:
            self.groups[name] = GroupText(spell_group(name), users=tuple(users), robots=tuple(robots))
