"""Claims: the smallest statements of rules, and those that only one of two policy trees makes.

A claim is one action, one pattern and one set of people of one rule. Equal claims mean equal access, whichever rule
makes them, so every difference in access comes from a claim that only one of two trees makes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from tokenserver.policy.analysis.containment import may_overlap
from tokenserver.policy.analysis.intersection import with_group
from tokenserver.policy.model import Effect, Groups, PolicySet, Principal, Principals, Rule
from tokenserver.policy.patterns import Capture, Pattern, SegmentKind
from tokenserver.scopes import is_path_component

AUTHENTICATED, ANONYMOUS = Principal("authenticated"), Principal("anonymous")

Who = frozenset[Principal]
"""Clients that are all of these. A `directory` principal is a directory group, even if a group of the tree hides it. A
`capture` principal is all groups whose names fit, such as `reg-{team}-rw`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule covers `action` on `pattern` for clients that are all of `who`, but on nothing that its `not` covers.

    `written` is the pattern as in the rule. `pattern` may have only one of several captures, or a group of the tree,
    `group`, filled in. If the other tree makes the same claim with another `not`, only names that one of `within`
    covers can be different.
    """

    rule: Rule
    pattern: Pattern
    action: str
    who: Who
    written: Pattern
    group: str = ""
    within: tuple[Pattern, ...] = ()

    @property
    def without(self) -> tuple[Pattern, ...]:
        """The patterns of the rule's `not` that may cover a name of `pattern`."""
        return tuple(one for one in self.rule.without if may_overlap(one, self.pattern))


@dataclass(frozen=True, slots=True)
class Person:
    """The relevant part of a client: its user name (empty: a user that no rule names), and its directory groups.

    `namespace` is the value of `${user}` where user sources map names; empty: one that matches nothing.
    """

    user: str = ""
    groups: frozenset[str] = frozenset()
    anonymous: bool = False
    namespace: str = ""

    def joined(self, other: Person) -> Person | None:
        """A client that is both; None if no client can be both."""
        if other is ANYONE or other == ANYONE:
            return self
        if self.anonymous or (self.user and other.user and self.user != other.user):
            return None
        if self.namespace and other.namespace and self.namespace != other.namespace:
            return None
        namespace = self.namespace or other.namespace
        return Person(self.user or other.user, self.groups | other.groups, namespace=namespace)

    def __le__(self, other: Person) -> bool:
        """Whether every client like `other` is also one like this."""
        names = (self.user, other.user), (self.namespace, other.namespace)
        return all(mine in ("", others) for mine, others in names) and self.groups <= other.groups

    @property
    def size(self) -> int:
        """The number of known facts."""
        return bool(self.user) + bool(self.namespace) + len(self.groups)


ANYONE = Person()
"""A client of which nothing is known."""


def ways(groups: Groups, principal: Principal) -> Iterator[Person]:
    """The minimal persons that are this principal in a tree with these groups."""
    if principal.sort == "group" and principal.name in groups.by_name:
        group = groups.by_name[principal.name]
        yield from (Person(groups=frozenset({name})) for name in sorted(group.groups))
        yield from (Person(user) for user in sorted(group.users))
    elif principal.sort in ("group", "directory"):
        yield Person(groups=frozenset({principal.name}))
    elif principal.sort == "capture":
        yield ANYONE  # the patterns of the rule bind the group
    else:
        yield Person(principal.name, anonymous=principal == ANONYMOUS)


def listed(principals: Principals) -> list[Principal]:
    """A set of people as single principals; `everyone` is split into its two halves."""
    broad: list[Principal] = []
    if principals.everyone or principals.authenticated:
        broad.append(AUTHENTICATED)
    if principals.everyone or principals.anonymous:
        broad.append(ANONYMOUS)
    if AUTHENTICATED in broad:
        return broad
    users = (Principal("user", name) for name in sorted(principals.users))
    return [*broad, *users, *(Principal("group", name) for name in sorted(principals.groups))]


def changed_groups(old: Groups, new: Groups) -> frozenset[str]:
    """The names of groups that differ between two trees."""
    names = old.by_name.keys() | new.by_name.keys()
    return frozenset(name for name in names if old.by_name.get(name) != new.by_name.get(name))


_Claims = dict[tuple[Hashable, frozenset[str]], Claim]
"""Claims by what they say without their `not`, and by the patterns in that."""


def changed_claims(old: PolicySet, new: PolicySet) -> tuple[list[Claim], list[Claim]]:
    """The claims that only `old` makes, and those that only `new` makes."""
    changed = changed_groups(old.groups, new.groups)
    wordings = [{_wording(rule) for rule in policies.rules} for policies in (old, new)]
    found: list[_Claims] = []
    for policies, others in ((old, wordings[1]), (new, wordings[0])):
        rules = (rule for rule in policies.rules if depends_on_groups(rule, changed) or _wording(rule) not in others)
        found.append(dict(entry for rule in rules for entry in _claims(rule, policies.groups, changed)))
    before, after = found
    return [*_only(before, after)], [*_only(after, before)]


def _only(mine: _Claims, others: _Claims) -> Iterator[Claim]:
    """The claims that are not among the others; if one is there with another `not`, the part that is not."""
    by_content: dict[Hashable, dict[frozenset[str], Claim]] = {}
    for (content, without), claim in others.items():
        by_content.setdefault(content, {})[without] = claim
    for (content, without), claim in mine.items():
        same = by_content.get(content)
        if same is None:
            yield claim
        elif not any(taken <= without for taken in same):
            nearest = min(same, key=lambda taken: (len(taken - without), sorted(taken)))
            parts = tuple(one for one in same[nearest].without if one.text not in without)
            yield replace(claim, within=parts)


def _wording(rule: Rule) -> Hashable:
    """The content of a rule without its id and position."""
    patterns = frozenset(pattern.text for pattern in rule.patterns)
    return (
        *(rule.effect, rule.resource_type, patterns, rule.capturing, rule.without and _texts(rule.without)),
        rule.actions,
        *(rule.to, rule.excluded, rule.condition, rule.services),
    )


def _texts(patterns: Iterable[Pattern]) -> frozenset[str]:
    return frozenset(pattern.text for pattern in patterns)


def depends_on_groups(rule: Rule, groups: frozenset[str]) -> bool:
    """Whether the meaning of the rule depends on any of these groups."""
    if not groups:
        return False
    named = rule.to.groups if rule.excluded is None else rule.to.groups | rule.excluded.groups
    return bool(named & groups) or any(
        pattern.uses(SegmentKind.GROUP) and (not pattern.captures or _values(pattern.captures, groups))
        for pattern in rule.patterns
    )


@lru_cache(maxsize=256)
def _values(captures: tuple[Capture, ...], groups: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """The names of groups with the value of the variable for their members, by name; without captures the name."""
    if not captures:
        return tuple((name, name) for name in sorted(groups) if is_path_component(name))
    found = ((name, capture.value(name)) for name in sorted(groups) for capture in captures)
    return tuple((name, value) for name, value in found if value is not None)


def _claims(
    rule: Rule, groups: Groups, changed: frozenset[str]
) -> Iterator[tuple[tuple[Hashable, frozenset[str]], Claim]]:
    condition = rule.condition
    when = None if condition is None else (*map(frozenset, (condition.networks, condition.outside)), condition.since)
    shared = (
        *(rule.effect, rule.resource_type, rule.services, when, condition and (condition.until, condition.kinds)),
        frozenset(_in_ways(listed(rule.excluded), groups, changed)) if rule.excluded is not None else frozenset(),
    )
    actions = rule.actions | {"*"} if rule.effect is Effect.DENY else rule.actions
    for meant in _meant(rule, groups, changed):
        without = _texts(meant.without) if rule.without else frozenset[str]()
        for action in actions:
            yield ((*shared, meant.pattern.text, action, meant.who), without), replace(meant, action=action)


def _meant(rule: Rule, groups: Groups, changed: frozenset[str]) -> Iterator[Claim]:
    """The claims of a rule, as yet about no action."""
    for written in rule.patterns:
        for pattern, one in meant_by(rule, written):
            for way in _in_ways([one], groups, changed):
                claim = Claim(rule, pattern, "", frozenset({way}), written)
                yield claim
                if pattern.uses(SegmentKind.GROUP) and one != ANONYMOUS:
                    yield from _in_changed_groups(claim, groups, changed)


def meant_by(rule: Rule, pattern: Pattern) -> Iterator[tuple[Pattern, Principal]]:
    """The single principals of a rule, each with one of its patterns for them; a capture is one like the others."""
    if not pattern.captures:
        for one in listed(rule.to):
            yield pattern, one
        return
    variable = rule.capturing[0].partition("{")[2].partition("}")[0]
    for capture in pattern.captures:
        name = f"{capture.before}{{{variable}}}{capture.after}"
        yield replace(pattern, captures=(capture,)), Principal("capture", name)


def _in_changed_groups(claim: Claim, groups: Groups, changed: frozenset[str]) -> Iterator[Claim]:
    """For each group whose members change, a claim of its own, once for each way to be a member."""
    who = {AUTHENTICATED} if claim.pattern.captures else claim.who
    for name, value in _values(claim.pattern.captures, changed):
        filled = with_group(claim.pattern, value)
        for way in _in_ways([Principal("group", name)], groups, changed):
            yield replace(claim, pattern=filled, who=frozenset({*who, way}), group=name)


def _in_ways(principals: Iterable[Principal], groups: Groups, changed: frozenset[str]) -> Iterator[Principal]:
    """Principals, with each changed group replaced by the ways to be a member of it."""
    for one in principals:
        if one.sort != "group" or one.name not in changed:
            yield one
        elif one.name not in groups.by_name:
            yield Principal("directory", one.name)
        else:
            group = groups.by_name[one.name]
            yield from (Principal("user", name) for name in sorted(group.users))
            yield from (Principal("directory", name) for name in sorted(group.groups))
