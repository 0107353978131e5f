"""The answer to "what can this client do?": each allow rule that applies, its open conditions, and what denies cut off.

Whether a rule applies is determined by the same predicate as in a decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.analysis.conditions import ALWAYS, Given, are_apart, implies, left_open
from tokenserver.policy.analysis.containment import Match, escape, escape_from, overlaps
from tokenserver.policy.analysis.remainders import Remainder
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.decide import objection
from tokenserver.policy.model import Condition, Context, Effect, PolicySet, Rule
from tokenserver.policy.principals import HypotheticalClient
from tokenserver.policy.variables.filling import filled, has_variables
from tokenserver.scopes import in_order

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a deny rule removes from a reach while `when` holds: what `pattern` covers and none of `without` does."""

    pattern: Pattern
    when: Condition
    rule: Rule
    without: tuple[Pattern, ...] = ()

    @property
    def names(self) -> Remainder:
        """The names that it removes."""
        return Remainder(self.pattern, self.without)


@dataclass(frozen=True, slots=True)
class Reach:
    """What one allow rule grants while `when` holds: the actions on the names that `pattern` covers and no cut does.

    Those of the rule's `not` that have some of these names are in `without`: it does not grant them.
    """

    pattern: Pattern
    actions: frozenset[str]
    when: Condition
    rule: Rule
    cuts: tuple[Cut, ...] = ()
    without: tuple[Pattern, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut off and no condition is open."""
        return not self.cuts and not self.without and self.when == ALWAYS

    @property
    def names(self) -> Remainder:
        """The names of the reach, and those that are cut off."""
        return Remainder(self.pattern, self.without)


def spell_pattern(type_: str, pattern: Pattern) -> str:
    """A pattern as a test writes it; a registry's resource is prefixed with `registry:`."""
    return pattern.text if type_ == "repository" else f"{type_}:{pattern.text}"


def what_can(
    policies: PolicySet, who: HypotheticalClient, given: Given, budget: Budget | None = None
) -> tuple[Reach, ...]:
    """Exactly what `who` can do on the registry `given.service`.

    Actions of one rule with different cuts are separate. Variables are filled in, except `${user}` if its value is not
    known (an unnamed user, or an unknown namespace), and `${group}` if no group of an unnamed user is known.

    Raises:
        TooComplex: not decided within the budget (None: that of one command).
    """
    budget = budget or command_budget(policies.rule_count)
    budget.spend(len(policies.rules) // 16)
    applying = [(rule, when) for rule in policies.rules if (when := _applies(rule, who, given)) is not None]
    denies = [
        Cut(pattern, when, rule, rule.without)
        for rule, when in applying
        if rule.effect is Effect.DENY
        for one in rule.patterns
        for pattern in bound(one, who)
    ]
    return tuple(
        reach
        for rule, when in applying
        if rule.effect is Effect.ALLOW
        for one in rule.patterns
        for pattern in bound(one, who)
        for whole in _granted(Reach(pattern, rule.actions, when, rule), budget)
        for reach in _cut(whole, denies, budget)
    )


def touches(but: Iterable[Pattern], pattern: Pattern, budget: Budget) -> bool:
    """Whether one of `but` and the pattern cover the same name, each for some client of its own."""
    return any(overlaps(one, pattern, budget) is not None for one in but)


def agree(own: Match, other: Match) -> bool:
    """Whether the variables of `other` have the values that they have in `own`; one unused in `own` has none."""
    return other.user in ("", own.user) and other.group in ("", own.group)


def _applies(rule: Rule, who: HypotheticalClient, given: Given) -> Condition | None:
    """The open condition of the rule for `who`; None if the rule does not apply."""
    unconditional = replace(rule, condition=None)
    context = Context(given.service, given.client, given.now or _ANY_TIME)
    if objection(unconditional, who.identity, who.groups, context) is not None:
        return None
    return left_open(rule, frozenset({who.identity.kind}), given)


def bound(pattern: Pattern, who: HypotheticalClient) -> Iterable[Pattern]:
    """The pattern with its variables filled in, in every way for this client; empty if nothing can fill them.

    `${user}` is kept if its value is not known. A capture is not: a client without a known group is in none of those
    that the rule is for.
    """
    if not has_variables(pattern):
        return (pattern,)
    user = None if who.is_open else who.identity.user_value
    is_unknown = who.is_unnamed and not who.groups and not pattern.captures
    groups = [None] if is_unknown or not pattern.uses(SegmentKind.GROUP) else sorted(who.groups)
    return dict.fromkeys(one for group in groups for one in filled(pattern, user, group))


def _granted(reach: Reach, budget: Budget) -> Iterator[Reach]:
    """The reach with what the `not` of its rule takes away; nothing if that is all of it."""
    without = tuple(one for one in reach.rule.without if touches([one], reach.pattern, budget))
    if not without or escape(without, reach.pattern, budget.question()) is not None:
        yield replace(reach, without=without)


def _cut(reach: Reach, denies: Collection[Cut], budget: Budget) -> Iterator[Reach]:
    """The reach after the denies, once for each set of actions with the same cuts."""
    budget.spend(1 + len(denies) // 4)
    meeting = [
        deny
        for deny in denies
        if deny.rule.resource_type == reach.rule.resource_type
        and not are_apart(reach.when, deny.when)
        and overlaps(reach.pattern, deny.pattern, budget.question()) is not None
        and not _is_spared(reach, deny, budget)
    ]
    by_cuts: dict[tuple[Cut, ...], set[str]] = {}
    for action in in_order(reach.actions):
        cuts = [
            replace(deny, when=ALWAYS) if implies(reach.when, deny.when) else deny
            for deny in meeting
            if deny.rule.decides(action)
        ]
        wholly = [cut for cut in cuts if cut.when == ALWAYS and not cut.without]
        if not any(cut.pattern.text in ("**", reach.pattern.text) for cut in wholly):
            by_cuts.setdefault(tuple(cuts), set()).add(action)
    for cuts_, actions in by_cuts.items():
        yield replace(reach, actions=frozenset(actions), cuts=cuts_)


def _is_spared(reach: Reach, deny: Cut, budget: Budget) -> bool:
    """Whether the deny takes nothing away, because of its `not` and that of the reach."""
    spared, both = [*reach.without, *deny.without], [reach.pattern, deny.pattern]
    is_none_left = bool(spared) and escape_from(spared, both, budget.question()) is None
    return is_none_left and escape_from([], both, budget.question()) is not None
