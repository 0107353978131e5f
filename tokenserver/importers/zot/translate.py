"""The `accessControl` of zot as policies: each pattern without the names of longer ones, which decide there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tokenserver.errors import Fault, LoadError
from tokenserver.identity import spell_group
from tokenserver.importers.legal_names import group_problem, user_problem
from tokenserver.importers.policy_text import GroupText, PolicyTest, PolicyText, RuleText
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.unique_names import UniqueNames, as_rule_id
from tokenserver.importers.zot.patterns import ZotPattern, read_pattern
from tokenserver.importers.zot.reader import ZotAccess, ZotPolicy, ZotRepositories
from tokenserver.patterns import Pattern
from tokenserver.policy.analysis.containment import contains, overlaps
from tokenserver.policy.budget import TooComplex
from tokenserver.scopes import in_order

_STARS = re.compile(r"\*+")
ACTIONS = ("read", "create", "update", "delete", "detectManifestCollision")
MAX_COMPARED = 2000
_PEOPLE = "authenticated"


@dataclass(slots=True)
class _ZotTranslation:
    access: ZotAccess
    ids: UniqueNames = field(default_factory=UniqueNames)
    constructs: list[Construct] = field(default_factory=list)

    def lost(self, place: str, text: str, note: str, instead: str = "a rule for it") -> None:
        """Report something that has no counterpart."""
        self.constructs.append(Construct(place, text, Verdict.NOT_TRANSLATED, note, instead))

    def groups(self) -> list[GroupText]:
        """The groups of the configuration, with the members that a directory has in a group of the name."""
        found = []
        for name, users in self.access.groups.items():
            place = f"{self.access.file}: http.accessControl.groups.{name}"
            problem = group_problem(name)
            if problem:
                self.lost(place, name, problem)
                continue
            legal = [user for user in users if not user_problem(user)]
            for user in users:
                if user not in legal:
                    self.lost(place, f"{name}: {user}", user_problem(user), "another name")
            spelled = spell_group(name)
            found.append(GroupText(spelled, users=tuple(dict.fromkeys(legal)), groups=(spelled,)))
        return found

    def rules(self, one: ZotRepositories, pattern: ZotPattern, others: Sequence[Pattern]) -> list[RuleText]:
        """The rules for one pattern, of which the names that `others` match are theirs."""
        text = one.pattern
        if pattern.problem:
            note = f"{pattern.problem}; nothing was granted, and shorter patterns grant nothing there either"
            self.lost(one.place, text, note)
            return []
        own = [spelled for spelled in pattern.covering if not _is_taken(others, spelled)]
        patterns = tuple(spelled.text for spelled in own)
        besides = tuple(dict.fromkeys(other.text for other in others if _overlap(own, other)))
        by_principal: dict[str, set[str]] = {}
        for policy in one.policies:
            for principal in self._principals(policy, text):
                by_principal.setdefault(principal, set()).update(policy.actions)
        for principal, listed in ((_PEOPLE, one.default), ("anonymous", one.anonymous)):
            if listed:
                by_principal.setdefault(principal, set()).update(listed)
        found = []
        for principal, actions in by_principal.items():
            granted = self.granted(one.place, f"{text}: {principal}", actions)
            if granted and own:
                rule_id = self.ids.give(as_rule_id(f"{_STARS.sub('all', text)}-{principal}"))
                found.append(RuleText(rule_id, (principal,), patterns, granted, besides=besides))
        became = tuple(rule.id for rule in found)
        self.constructs.append(Construct(one.place, text, Verdict.EXACT, became=became))
        return found

    def admin(self, policy: ZotPolicy) -> list[RuleText]:
        """The rule for administrators, whom no pattern restricts."""
        principals = self._principals(policy, "adminPolicy")
        granted = self.granted(policy.place, "adminPolicy", policy.actions)
        if not principals or not granted:
            return []
        became = ("administrators", "administrators-catalog")
        note = "the catalog is all names or none here, so administrators alone see it"
        self.constructs.append(Construct(policy.place, "adminPolicy", Verdict.DIFFERENT, note, became=became))
        return [
            RuleText(self.ids.give(became[0]), tuple(principals), ("**",), granted),
            RuleText(self.ids.give(became[1]), tuple(principals), registry=("catalog",), actions=("*",)),
        ]

    def granted(self, place: str, text: str, actions: Iterable[str]) -> tuple[str, ...]:
        """The actions here, and a report on those without a counterpart."""
        known = set(actions) & set(ACTIONS)
        unknown = sorted(set(actions) - known)
        if unknown:
            self.lost(place, text, f"the actions {', '.join(unknown)} are not known; nothing was granted for them")
        granted = {here for here, there in (("pull", "read"), ("delete", "delete")) if there in known}
        pushes = known & {"create", "update"}
        if pushes == {"create", "update"}:
            granted.add("push")
        elif pushes:
            note = f"{min(pushes)} alone has no counterpart: push is new tags and changed ones, so it was not granted"
            self.lost(place, text, note, "push, if changed tags are accepted as well")
        return tuple(in_order(granted))

    def _principals(self, policy: ZotPolicy, text: str) -> list[str]:
        found = []
        for sort, names in (("user", policy.users), ("group", policy.groups)):
            for name in names:
                problem = user_problem(name) if sort == "user" else group_problem(name)
                if problem:
                    self.lost(policy.place, f"{text}: {name}", problem)
                else:
                    found.append(f"{sort}:{name if sort == 'user' else spell_group(name)}")
        return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class ZotPolicies:
    """The policy file of a configuration with `accessControl`, and what became of it."""

    policy: PolicyText
    constructs: tuple[Construct, ...]
    is_anonymous: bool


def translate_zot(access: ZotAccess) -> ZotPolicies:
    """The policies that mean the same.

    Raises:
        LoadError: the patterns stand for more than `MAX_COMPARED`, each of which is compared with each.
    """
    translation = _ZotTranslation(access)
    groups = translation.groups()
    patterns = {one.pattern: read_pattern(one.pattern) for one in access.repositories}
    if sum(len(pattern.covering) for pattern in patterns.values()) > MAX_COMPARED:
        message = f"stands for more than {MAX_COMPARED:,} patterns, which are too many to compare"
        raise LoadError([Fault(access.file, 0, "http.accessControl", message)])
    rules: list[RuleText] = []
    for one in access.repositories:
        longer, same = _deciding(one.pattern, patterns)
        if same:
            note = f"zot picks it or {', '.join(same)} at random where both match; nothing was granted there"
            instead = "rules for these names"
            translation.constructs.append(Construct(one.place, one.pattern, Verdict.CLOSED, note, instead))
        others = [other for text in (*longer, *same) for other in patterns[text].covering]
        rules += translation.rules(one, patterns[one.pattern], others)
    if access.admin is not None:
        rules += translation.admin(access.admin)
    is_anonymous = any("anonymous" in rule.to for rule in rules)
    tests = [] if is_anonymous else [PolicyTest({}, cannot=("pull example/image", "* registry:catalog"))]
    policy = PolicyText(
        header="accessControl of zot: each pattern without the names of longer ones, which decide there.",
        groups=tuple(groups),
        allow=tuple(rules),
        tests=tuple(tests),
    )
    return ZotPolicies(policy, tuple(translation.constructs), is_anonymous)


def _deciding(text: str, patterns: dict[str, ZotPattern]) -> tuple[list[str], list[str]]:
    """The patterns that decide in place of this one where both match: longer ones, and others of its length."""
    size = len(text.encode())
    longer = [other for other in patterns if len(other.encode()) > size]
    same = [other for other in patterns if other != text and len(other.encode()) == size]
    own = patterns[text].covering
    return longer, [other for other in same if any(_overlap(own, one) for one in patterns[other].covering)]


def _is_taken(others: Sequence[Pattern], own: Pattern) -> bool:
    """Whether the others match all that `own` matches; what cannot be decided is not."""
    try:
        return contains(others, own)
    except TooComplex:
        return False


def _overlap(own: Iterable[Pattern], other: Pattern) -> bool:
    """Whether a name may be matched by one of `own` and by `other`; what cannot be decided may be."""
    try:
        return any(overlaps(one, other) is not None for one in own)
    except TooComplex:
        return True
