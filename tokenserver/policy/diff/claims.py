"""Claims: the smallest statements of rules, and those that only one of two policy trees makes.

A claim is one action, one pattern and one set of people of one rule. Equal claims mean equal access, whichever rule
makes them, so every difference in access comes from a claim that only one of two trees makes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from tokenserver.policy.analysis.intersection import with_group
from tokenserver.policy.model import Effect, Groups, PolicySet, Principal, Principals, Rule
from tokenserver.policy.patterns import Pattern, SegmentKind
from tokenserver.scopes import is_path_component

AUTHENTICATED, ANONYMOUS = Principal("authenticated"), Principal("anonymous")

Who = frozenset[Principal]
"""Clients that are all of these. A `directory` principal is a directory group, even if a group of the tree hides it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule covers `action` on `pattern` for clients that are all of `who`.

    `written` is the pattern as in the rule; `pattern` may have the name of a group filled in.
    """

    rule: Rule
    pattern: Pattern
    action: str
    who: Who
    written: Pattern


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


def changed_claims(old: PolicySet, new: PolicySet) -> tuple[list[Claim], list[Claim]]:
    """The claims that only `old` makes, and those that only `new` makes."""
    changed = changed_groups(old.groups, new.groups)
    wordings = [{_wording(rule) for rule in policies.rules} for policies in (old, new)]
    found: list[dict[Hashable, Claim]] = []
    for policies, others in ((old, wordings[1]), (new, wordings[0])):
        rules = (rule for rule in policies.rules if depends_on_groups(rule, changed) or _wording(rule) not in others)
        found.append(dict(entry for rule in rules for entry in _claims(rule, policies.groups, changed)))
    before, after = found
    return (
        [claim for key, claim in before.items() if key not in after],
        [claim for key, claim in after.items() if key not in before],
    )


def _wording(rule: Rule) -> Hashable:
    """The content of a rule without its id and position."""
    patterns = frozenset(pattern.text for pattern in rule.patterns)
    return (
        *(rule.effect, rule.resource_type, patterns, rule.actions),
        *(rule.to, rule.excluded, rule.condition, rule.services),
    )


def depends_on_groups(rule: Rule, groups: frozenset[str]) -> bool:
    """Whether the meaning of the rule depends on any of these groups."""
    if not groups:
        return False
    named = rule.to.groups if rule.excluded is None else rule.to.groups | rule.excluded.groups
    return bool(named & groups) or any(pattern.uses(SegmentKind.GROUP) for pattern in rule.patterns)


def _claims(rule: Rule, groups: Groups, changed: frozenset[str]) -> Iterator[tuple[Hashable, Claim]]:
    condition = rule.condition
    when = None if condition is None else (*map(frozenset, (condition.networks, condition.outside)), condition.since)
    shared = (
        *(rule.effect, rule.resource_type, rule.services, when, condition and (condition.until, condition.kinds)),
        frozenset(_in_ways(listed(rule.excluded), groups, changed)) if rule.excluded is not None else frozenset(),
    )
    actions = rule.actions | {"*"} if rule.effect is Effect.DENY else rule.actions
    for pattern, who, written in _meant(rule, groups, changed):
        for action in actions:
            yield (*shared, pattern.text, action, who), Claim(rule, pattern, action, who, written)


def _meant(rule: Rule, groups: Groups, changed: frozenset[str]) -> Iterator[tuple[Pattern, Who, Pattern]]:
    for pattern, one in product(rule.patterns, _in_ways(listed(rule.to), groups, changed)):
        yield pattern, frozenset({one}), pattern
        if pattern.uses(SegmentKind.GROUP) and one != ANONYMOUS:
            # For a group whose members change, `${group}` is a claim of its own, once for each way to be a member.
            for name in sorted(filter(is_path_component, changed)):
                for way in _in_ways([Principal("group", name)], groups, changed):
                    yield with_group(pattern, name), frozenset({one, way}), pattern


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
