"""Lint rules about allow and deny rules that meet: access that logging in takes away, and denies that meet no allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import merge
from itertools import groupby, repeat

from tokenserver.identity import MACHINES, Kind
from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.analysis.conditions import are_apart
from tokenserver.policy.analysis.containment import covered_names, escape_from, overlaps
from tokenserver.policy.analysis.covering_rules import CoveringRules
from tokenserver.policy.analysis.pattern_index import PatternIndex
from tokenserver.policy.analysis.subsumption import (
    covers,
    covers_people,
    is_open,
    kinds_of,
    may_share_machines,
    people_named,
    possible_kinds,
    recipients,
)
from tokenserver.policy.budget import Budget
from tokenserver.policy.lint.single_rules import reaches_anonymous, reaches_any_user, uses_variable
from tokenserver.policy.model import Condition, Effect, Entry, Groups, PolicySet, Principals, Rule
from tokenserver.policy.networks import EVERY_ADDRESS, ranges_of
from tokenserver.scopes import in_order

PAIRS_PER_STEP = 16
"""Number of pairs of rules that are compared superficially in one step."""

_Access = tuple[str, frozenset[str]]
"""A resource type and actions on it."""

_People = tuple[frozenset[str], frozenset[str]]
"""Users and groups, by name."""

Pair = tuple[Pattern, Pattern]
"""A pattern of a deny rule, and one of an allow rule."""


def as_of(rule: Rule, now: datetime) -> Rule:
    """The rule with the parts of its condition that can still decide something from `now` on.

    A `since` that has passed is none. A deny with `from` for every address is one without, since it also applies to an
    unknown address.
    """
    condition = rule.condition
    if condition is None:
        return rule
    if condition.since is not None and condition.since <= now:
        condition = replace(condition, since=None)
    if rule.effect is Effect.DENY and ranges_of(condition.networks, condition.outside) == EVERY_ADDRESS:
        condition = replace(condition, networks=())
    return rule if condition == rule.condition else replace(rule, condition=condition)


def no_tokens(policies: PolicySet) -> Iterator[tuple[Rule, str]]:
    """The rules for anonymous clients, in a configuration in which these get no tokens."""
    for rule in policies.rules:
        if rule.to.anonymous or kinds_of(rule, policies.groups) == {Kind.ANONYMOUS}:
            text = f"{rule.id}: anonymous clients get no tokens in this configuration"
            yield rule, f"{text}; fix: set anonymous: true, or remove anonymous from the rule"


class Meetings:
    """The rules in force of one policy set, compared with each other."""

    def __init__(
        self, policies: PolicySet, in_force: Mapping[str, Rule], covering: CoveringRules, budget: Budget
    ) -> None:
        self._policies = policies
        self._in_force = in_force
        self._budget = budget
        self._covering = covering
        self._possible = possible_kinds(policies)
        self._kinds = {name: kinds_of(rule, policies.groups, self._possible) for name, rule in in_force.items()}
        self._people = {name: people_named(rule.to, policies.groups) for name, rule in in_force.items()}
        self._allows: list[Entry] = []
        numbers: dict[_Access, list[int]] = {}
        for rule in in_force.values():
            for pattern in rule.patterns if rule.effect is Effect.ALLOW else ():
                numbers.setdefault((rule.resource_type, rule.actions), []).append(len(self._allows))
                self._allows.append((rule, pattern))
        self._indexes = {
            access: (some, PatternIndex([self._allows[number][1] for number in some]))
            for access, some in numbers.items()
        }

    def findings(self, rule: Rule) -> Iterator[tuple[str, str]]:
        """Codes and texts about one rule in force.

        Raises:
            TooComplex: not decided within the budget.
        """
        if rule.effect is Effect.DENY:
            yield from self._met(rule)
        elif reaches_anonymous(rule) and not reaches_any_user(rule):
            lost = [action for action in in_order(rule.actions) if not self._keeps(rule, action)]
            if lost:
                text = f"a client that logs in loses {' and '.join(lost)}, which anonymous clients have"
                yield "TS118", f"{rule.id}: {text}; fix: to: [everyone]"

    def _keeps(self, rule: Rule, action: str) -> bool:
        """Whether another allow rule grants the action to everybody who logs in."""
        condition = rule.condition and replace(rule.condition, kinds=frozenset())
        as_user = replace(rule, to=Principals(authenticated=True), excluded=None, condition=condition)
        others = (self._in_force.get(one.id) for one in self._covering.of(as_user))
        return any(
            other is not None
            and other.effect is Effect.ALLOW
            and other.id != rule.id
            and covers(other, as_user, self._policies.groups, frozenset({action}), self._budget, kinds=self._possible)
            for other in others
        )

    def _met(self, deny: Rule) -> Iterator[tuple[str, str]]:
        for_users = reaches_any_user(deny) and not reaches_anonymous(deny)
        is_met = False
        for number, (allow, patterns) in enumerate(self._near(deny)):
            if number % PAIRS_PER_STEP == 0:
                self._budget.spend()
            takes = for_users and reaches_anonymous(allow)
            if (is_met and not takes) or not self._meet(deny, allow, patterns, as_if_public=takes):
                continue
            is_met = True
            if takes and not all(map(uses_variable, deny.patterns)):
                shared = " and ".join(in_order(deny.actions & allow.actions))
                text = f"a client that logs in loses {shared or '*'}, which {allow.id} grants to anonymous clients"
                yield "TS118", f"{deny.id}: {text}; fix: to: [everyone]"
                return
            if not for_users:
                return
        if not is_met:
            yield "TS119", f"{deny.id}: no allow rule grants any of it; fix: correct or remove the rule"

    def _near(self, deny: Rule) -> Iterator[tuple[Rule, list[Pair]]]:
        """The allow rules for actions of the deny rule whose patterns may meet its own, and these pairs of patterns."""
        numbers = merge(
            *(
                zip(map(some.__getitem__, index.meeting(pattern)), repeat(place))
                for (resource_type, actions), (some, index) in self._indexes.items()
                if resource_type == deny.resource_type and any(map(deny.decides, actions))
                for place, pattern in enumerate(deny.patterns)
            )
        )
        for _, same in groupby(numbers, key=lambda found: self._allows[found[0]][0].id):
            pairs = [(deny.patterns[place], self._allows[number]) for number, place in same]
            yield pairs[0][1][0], [(one, other) for one, (_, other) in pairs]

    def _meet(self, deny: Rule, allow: Rule, patterns: Iterable[Pair], *, as_if_public: bool) -> bool:
        """Whether both may apply to one request; `as_if_public`: one by a client once it has logged in."""
        return (
            (deny.services is None or allow.services is None or not deny.services.isdisjoint(allow.services))
            and (as_if_public or not self._are_others(deny, allow))
            and not _never_together(deny, allow, as_if_public=as_if_public)
            and any(shared_name(pair, (*deny.without, *allow.without), self._budget) for pair in patterns)
        )

    def _are_others(self, deny: Rule, allow: Rule) -> bool:
        """Whether the two certainly never apply to the same client."""
        groups = self._policies.groups
        shared = self._kinds[deny.id] & self._kinds[allow.id]
        if not shared:
            return True
        for one, other in ((deny, allow), (allow, deny)):
            if one.excluded is not None and covers_people(
                one.excluded, recipients(other, groups), groups, self._possible
            ):
                return True
        if not shared.isdisjoint(MACHINES) and may_share_machines(deny.to, allow.to, groups):
            return False
        if shared <= MACHINES.keys():
            return True
        named = [self._people[one.id] for one in (deny, allow) if one.to.are_named]
        return len(named) == 2 and not any(_may_be(one, other, groups) for one, other in (named, named[::-1]))


def shared_name(pair: Pair, without: Sequence[Pattern], budget: Budget) -> str | None:
    """A name that both patterns cover and none of `without` takes away; None if there is none.

    Raises:
        TooComplex: not decided within the budget of a question.
    """
    if not without:
        return overlaps(*pair, budget.question())
    name = escape_from(without, pair, budget.question())
    if name is not None or not all(one.uses(SegmentKind.GROUP) for one in pair):
        return name
    # A client can be in two groups, one for each pattern.
    found = covered_names(pair, without, budget=budget.question())
    return next((one.name for one in found if not one.others), None)


def _never_together(deny: Rule, allow: Rule, *, as_if_public: bool) -> bool:
    conditions = [one.condition or Condition() for one in (deny, allow)]
    if as_if_public:
        conditions = [replace(one, kinds=frozenset()) for one in conditions]
    return are_apart(*conditions)


def _may_be(one: _People, other: _People, groups: Groups) -> bool:
    """Whether a user in `one` may be in `other`: by name, or by groups whose members are unknown."""
    users, some = one
    others, more = other
    if users & others or (some and more):
        return True
    if any(is_open(name, groups) for name in more):
        return bool(users)
    return any(users & groups.by_name[name].users for name in more)
