"""An export of Quay as policies: teams as groups, and a rule for what each team, user and robot may do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from tokenserver.importers.legal_names import repository_problem, user_problem
from tokenserver.importers.policy_text import PolicyTest, PolicyText, RuleText
from tokenserver.importers.quay.model import REPOSITORY_ROLES, QuayExport, QuayGrant, QuayPrototype, QuayRepository
from tokenserver.importers.quay.people import QuayPeople
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.unique_names import UniqueNames, as_rule_id

MAX_TESTS = 200
_ACTIONS = {"reader": ("pull",), "maintainer": ("pull", "push", "delete")}
_LOCKED = {
    "READ_ONLY": "the repository is read-only, so nobody pushes or deletes",
    "MIRROR": "the repository is a mirror, which Quay alone fills; nobody pushes or deletes here",
}


@dataclass(frozen=True, slots=True)
class QuayPolicies:
    """The policy file, and what became of the export. `users` need a password, `robots` a secret."""

    policy: PolicyText
    constructs: tuple[Construct, ...]
    is_anonymous: bool
    users: tuple[str, ...]
    robots: tuple[str, ...]

    @property
    def grants(self) -> bool:
        """Whether anybody may do anything."""
        return bool(self.policy.allow)


@dataclass(slots=True)
class _QuayTranslation:
    export: QuayExport
    people: QuayPeople
    ids: UniqueNames = field(default_factory=UniqueNames)
    by_principal: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """The patterns that each principal has with each role."""
    locked: list[str] = field(default_factory=list)

    def repositories(self) -> list[QuayRepository]:
        """Those with images and names that can exist here, each once."""
        legal: dict[str, QuayRepository] = {}
        for one in self.export.repositories:
            problem = _problem(one.path) or ("it is there twice" if one.path in legal else "")
            if one.kind != "image":
                problem = f"it is of the kind {one.kind!r}, and has no images"
            if problem:
                self.people.lost(one.place, one.path, problem)
                continue
            legal[one.path] = one
            if one.state != "NORMAL":
                self._lock(one)
        return list(legal.values())

    def _lock(self, one: QuayRepository) -> None:
        """Forbid pushes to a repository that takes none."""
        self.locked.append(one.path)
        text = f"{one.path}: {one.state}"
        if one.state not in _LOCKED:
            self.people.lost(one.place, text, "the state is not known; nobody pushes or deletes")
            return
        verdict = Verdict.EXACT if one.state == "READ_ONLY" else Verdict.DIFFERENT
        self._say(Construct(one.place, text, verdict, _LOCKED[one.state], became=("locked-repositories",)))

    def grant(self, sort: str, namespace: str, grant: QuayGrant, pattern: str) -> None:
        """Add one permission, or report why not."""
        role = REPOSITORY_ROLES.get(grant.role)
        problem = self.people.problem(sort, namespace, grant.name)
        if role is None:
            problem = f"the role {grant.role!r} is not known; nothing was granted"
        if role is None or problem:
            self.people.lost(grant.place, f"{pattern}: {grant.name}", problem)
            return
        self.add(self.people.principal(sort, namespace, grant.name), role, pattern)

    def add(self, principal: str, role: str, pattern: str) -> None:
        """Let a principal do what the role does."""
        self.by_principal.setdefault((principal, role), []).append(pattern)

    def namespaces(self) -> None:
        """Let administrators of organizations and owners of namespaces do everything in them."""
        for team in self.export.teams:
            name = f"{team.organization}/{team.name}"
            if team.role != "admin" or name not in self.people.groups or _problem(f"{team.organization}/x"):
                continue
            if not self.people.has_robots(team):
                principal = self.people.principal("team", team.organization, team.name)
                self.add(principal, "maintainer", f"{team.organization}/**")
                continue
            note = "robots of a team of administrators get what the team has on each repository, and not all"
            self._say(Construct(team.place, name, Verdict.DIFFERENT, note, "a rule for them"))
            for member in self.people.groups[name].users:
                if "+" not in member:
                    self.add(f"user:{member}", "maintainer", f"{team.organization}/**")
        taken = set(self.export.organizations)
        for user in self.export.users:
            if user.is_enabled and not user_problem(user.name):
                if user.name in taken or _problem(f"{user.name}/x"):
                    self.people.lost(user.place, f"{user.name}/", "no repository can be in the user's namespace here")
                else:
                    self.add(f"user:{user.name}", "maintainer", f"{user.name}/**")

    def rules(self) -> list[RuleText]:
        """A rule for each principal and role."""
        found = []
        for (principal, role), names in self.by_principal.items():
            rule_id = self.ids.give(as_rule_id(f"{principal}-{role}"))
            found.append(RuleText(rule_id, (principal,), tuple(dict.fromkeys(names)), role=role))
        return found

    def prototype(self, one: QuayPrototype, existing: Iterable[str]) -> RuleText | None:
        """A default permission, as pull on every name that is no repository yet."""
        text = f"{one.organization}: {one.role} for {one.sort} {one.name}"
        problem = self.people.problem(one.sort, one.organization, one.name)
        if one.role not in REPOSITORY_ROLES:
            problem = f"the role {one.role!r} is not known; nothing was granted"
        if one.creator:
            problem = f"it is for repositories that {one.creator} creates, and nobody knows who created one"
        if problem or _problem(f"{one.organization}/x"):
            self.people.lost(one.place, text, problem or "the organization's name cannot exist here")
            return None
        rule_id = self.ids.give(as_rule_id(f"{one.organization}-default-{one.name}"))
        note = "it is pull on each name that was no repository at the import" + (
            "; push would create repositories" if REPOSITORY_ROLES[one.role] != "reader" else ""
        )
        instead = f"push in the rule {rule_id}, or a rule for each new repository"
        self._say(Construct(one.place, text, Verdict.DIFFERENT, note, instead, became=(rule_id,)))
        principal = self.people.principal(one.sort, one.organization, one.name)
        patterns = (f"{one.organization}/**",)
        return RuleText(rule_id, (principal,), patterns, role="reader", besides=tuple(existing))

    def superusers(self) -> list[str]:
        """Those who administer here."""
        found = []
        for user in self.export.users:
            if user.is_superuser and user.is_enabled and not user_problem(user.name):
                note = "a superuser manages credentials here; access to all repositories was not granted"
                instead = "a rule for all repositories, if FEATURE_SUPERUSERS_FULL_ACCESS is on"
                text = f"{user.name}: super_user"
                construct = Construct(user.place, text, Verdict.DIFFERENT, note, instead, became=("administrators",))
                self._say(construct)
                found.append(f"user:{user.name}")
        return found

    def _say(self, construct: Construct) -> None:
        self.people.constructs.append(construct)


def translate_quay(export: QuayExport, *, robots_as_users: bool = False) -> QuayPolicies:
    """The policies that mean the same. Robots get new secrets, and users new passwords."""
    people = QuayPeople(export, robots_as_users)
    translation = _QuayTranslation(export, people)
    repositories = translation.repositories()
    translation.namespaces()
    by_namespace: dict[str, list[str]] = {}
    for repository in repositories:
        by_namespace.setdefault(repository.namespace, []).append(repository.path)
        for grant in repository.grants:
            translation.grant(grant.sort, repository.namespace, grant, repository.path)
    rules = translation.rules()
    public = tuple(repository.path for repository in repositories if repository.is_public)
    if public:
        rules.append(RuleText(translation.ids.give("public"), ("everyone",), public, role="reader"))
    defaults = [translation.prototype(one, by_namespace.get(one.organization, ())) for one in export.prototypes]
    rules += [rule for rule in defaults if rule is not None]
    locked = RuleText(
        "locked-repositories",
        ("everyone",),
        tuple(translation.locked),
        ("push", "delete"),
        message="the repository is read-only",
    )
    _say_exact(people, repositories)
    used = {principal for rule in rules for principal in rule.to}
    policy = PolicyText(
        header="Teams, users and robots of Quay, and what each may do.",
        administrators=tuple(translation.superusers()),
        robots=tuple(people.declared),
        groups=tuple(group for group in people.groups.values() if f"group:{group.name}" in used),
        allow=tuple(rules),
        deny=(locked,) if translation.locked else (),
        tests=tuple(islice(_tests(rules, people, set(translation.locked), set(public), repositories), MAX_TESTS)),
    )
    users = [one.name for one in export.users if one.is_enabled and not user_problem(one.name)]
    return QuayPolicies(
        policy,
        tuple(people.constructs),
        bool(public),
        tuple(dict.fromkeys([*users, *(people.robots if robots_as_users else ())])),
        tuple(() if robots_as_users else people.robots.values()),
    )


def _say_exact(people: QuayPeople, repositories: Iterable[QuayRepository]) -> None:
    for one in repositories:
        text = f"{one.path}: {len(one.grants)} permissions" + (", public" if one.is_public else "")
        people.constructs.append(Construct(one.place, text, Verdict.EXACT))


def _problem(path: str) -> str:
    """Why no repository can have this name; patterns are none."""
    if "*" in path or "$" in path:
        return "the name has characters with a meaning in policies"
    return repository_problem(path)


def _tests(
    rules: Iterable[RuleText],
    people: QuayPeople,
    locked: set[str],
    public: set[str],
    repositories: Iterable[QuayRepository],
) -> Iterable[PolicyTest]:
    """A test of each rule with one client of it, and one of each private repository."""
    for rule in rules:
        client = _client(rule.to[0], people)
        name = rule.repositories[0].replace("/**", "/example-image")
        if client and not rule.besides and name not in locked:
            yield PolicyTest(client, can=tuple(f"{action} {name}" for action in _ACTIONS[rule.role]))
    for one in repositories:
        if one.path not in public:
            yield PolicyTest({}, cannot=(f"pull {one.path}",))


def _client(principal: str, people: QuayPeople) -> Mapping[str, str | tuple[str, ...]]:
    sort, _, name = principal.partition(":")
    if sort == "group":
        group = next(one for one in people.groups.values() if one.name == name)
        return {"user": group.users[0]} if group.users else {"robot": group.robots[0]}
    return {sort: name} if name else {}
