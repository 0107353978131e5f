"""Claims: the smallest statements of rules, and those that only one of two policy trees makes.

A claim is one action, one pattern and one set of people of one rule. Equal claims mean equal access, whichever rule
makes them, so every difference in access comes from a claim that only one of two trees makes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.analysis.containment import may_overlap
from tokenserver.policy.analysis.intersection import with_group
from tokenserver.policy.diff.changed_names import Members, Who, changed_names, depends_on, values_for
from tokenserver.policy.model import Effect, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    ROBOTS,
    WORKLOADS,
    client_principal,
    group_principal,
)


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


def listed(principals: Principals) -> list[Principal]:
    """A set of principals as single ones, in a fixed order; `everyone` is split into its parts."""
    broad = [
        (AUTHENTICATED, principals.authenticated),
        (ANONYMOUS, principals.anonymous),
        (ROBOTS, principals.robots),
        (WORKLOADS, principals.workloads),
    ]
    sets = [principal for principal, is_there in broad if is_there or principals.everyone]
    named = [*map(client_principal, sorted(principals.users)), *map(group_principal, sorted(principals.groups))]
    return [*sets, *(one for one in named if not _CLASSES_OF[one.sort].issubset(sets))]


_CLASSES_OF: Mapping[str, frozenset[Principal]] = {
    "user": frozenset({AUTHENTICATED}),
    "robot": frozenset({ROBOTS}),
    "workload": frozenset({WORKLOADS}),
    "group": frozenset({AUTHENTICATED, ROBOTS, WORKLOADS}),
}
"""By sort of a principal, the sets that its clients are in."""


_Claims = dict[tuple[Hashable, frozenset[str]], Claim]
"""Claims by what they say without their `not`, and by the patterns in that."""


def changed_claims(old: PolicySet, new: PolicySet) -> tuple[list[Claim], list[Claim]]:
    """The claims that only `old` makes, and those that only `new` makes."""
    changed = changed_names(old, new)
    wordings = [{_wording(rule) for rule in policies.rules} for policies in (old, new)]
    found: list[_Claims] = []
    for policies, others in ((old, wordings[1]), (new, wordings[0])):
        members = Members.of(policies, changed)
        rules = (rule for rule in policies.rules if depends_on(rule, changed) or _wording(rule) not in others)
        found.append(dict(entry for rule in rules for entry in _claims(rule, members)))
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


def _claims(rule: Rule, members: Members) -> Iterator[tuple[tuple[Hashable, frozenset[str]], Claim]]:
    condition = rule.condition
    when = None if condition is None else (*map(frozenset, (condition.networks, condition.outside)), condition.since)
    excepted = frozenset[Hashable]() if rule.excluded is None else members.excepted(listed(rule.excluded))
    shared = (
        *(rule.effect, rule.resource_type, rule.services, when, condition and (condition.until, condition.kinds)),
        excepted,
    )
    actions = rule.actions | {"*"} if rule.effect is Effect.DENY else rule.actions
    for meant in _meant(rule, members):
        without = _texts(meant.without) if rule.without else frozenset[str]()
        who = members.meaning(meant.who)
        for action in actions:
            yield ((*shared, meant.pattern.text, action, who), without), replace(meant, action=action)


def _meant(rule: Rule, members: Members) -> Iterator[Claim]:
    """The claims of a rule, as yet about no action."""
    for written in rule.patterns:
        for pattern, one in meant_by(rule, written):
            for who in members.ways([one]):
                claim = Claim(rule, pattern, "", who, written)
                yield claim
                if pattern.uses(SegmentKind.GROUP) and one != ANONYMOUS:
                    yield from _in_changed_groups(claim, members)


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


def _in_changed_groups(claim: Claim, members: Members) -> Iterator[Claim]:
    """For each group whose members change, a claim of its own, once for each way to be a member."""
    for name, value in values_for(claim.pattern.captures, members.changed):
        filled = with_group(claim.pattern, value)
        for way in members.ways([Principal("group", name)]):
            among = _classes_of(way) if claim.pattern.captures else claim.who
            yield replace(claim, pattern=filled, who=among | way, group=name)


def _classes_of(who: Who) -> Who:
    """The sets of all people or machines that clients who are all of `who` are in, as far as that is known."""
    return frozenset[Principal]().union(*(_CLASSES_OF.get(one.sort, frozenset({AUTHENTICATED})) for one in who))
