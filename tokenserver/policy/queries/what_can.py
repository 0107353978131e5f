"""The answer to "what can this client do?": each allow rule that applies, its open conditions, and what denies cut off.

Whether a rule applies is determined by the same predicate as in a decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

from tokenserver.policy.analysis.conditions import ALWAYS, Given, are_apart, implies, left_open
from tokenserver.policy.analysis.containment import Match, covered_names, escape, escape_from, overlaps
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.decide import objection
from tokenserver.policy.model import Condition, Context, Effect, PolicySet, Rule
from tokenserver.policy.patterns import Pattern, SegmentKind, matches, parse_pattern
from tokenserver.policy.principals import HypotheticalClient
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import in_order, is_path_component

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a deny rule removes from a reach while `when` holds."""

    pattern: Pattern
    when: Condition
    rule: Rule


@dataclass(frozen=True, slots=True)
class Reach:
    """What one allow rule grants while `when` holds: the actions on the names that `pattern` covers and no cut does."""

    pattern: Pattern
    actions: frozenset[str]
    when: Condition
    rule: Rule
    cuts: tuple[Cut, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut off and no condition is open."""
        return not self.cuts and self.when == ALWAYS

    @property
    def span(self) -> Span:
        """The reach without its rule and conditions."""
        return Span(self.actions, self.rule.resource_type, self.pattern, tuple(cut.pattern for cut in self.cuts))


@dataclass(frozen=True, slots=True)
class Span:
    """Actions on the names that `pattern` covers and none of `but` does, independent of the rule."""

    actions: frozenset[str]
    type: str
    pattern: Pattern
    but: tuple[Pattern, ...] = ()

    def has(self, covered: Collection[str]) -> bool:
        """Whether the span has a name that is covered by exactly the patterns with the texts `covered`."""
        return self.pattern.text in covered and not any(one.text in covered for one in self.but)

    def has_name(self, segments: Sequence[str], user: str, groups: Collection[str]) -> bool:
        """Whether the span has the name, for this user in these groups."""
        covered = matches(self.pattern, segments, user, groups)
        return covered and not any(matches(one, segments, user, groups) for one in self.but)

    def __str__(self) -> str:
        name = spell_pattern(self.type, self.pattern)
        but = " ".join(sorted(one.text for one in self.but))
        return f"{','.join(in_order(self.actions))} {name}" + (f" except {but}" if but else "")


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
        Cut(pattern, when, rule)
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
        for reach in _cut(Reach(pattern, rule.actions, when, rule), denies, budget)
    )


def difference(  # noqa: PLR0917 - a question in full
    found: Iterable[Span],
    expected: Iterable[Span],
    action: str,
    type_: str,
    within: Collection[Pattern] | None = None,
    budget: Budget | None = None,
) -> tuple[str, bool] | None:
    """A name for which the two differ about `action`, and whether `found` has it; None if they are equivalent.

    The answer is exact: spans that are written differently and cover the same names do not differ. Only names covered
    by one of the patterns `within`, which have no variables, are compared (None: all names).

    Raises:
        TooComplex: not decided within the budget.
    """
    budget = budget or Budget()
    sides = [[span for span in side if action in span.actions and span.type == type_] for side in (found, expected)]
    walked: set[Pattern] = set()
    for own, others in (sides, sides[::-1]):
        for span in own:
            # Spans whose exceptions overlap are only examined if the others do not cover the span already.
            wholes = [one.pattern for one in others if not _touches(one.but, span.pattern, budget)]
            names = [*_escaping([*span.but, *wholes], span.pattern, within, budget)]
            if not names or span.pattern in walked:
                continue
            for name in names:
                has = next(_differing(span.pattern, name, sides), None)
                if has is not None:
                    return name, has
            walked.add(span.pattern)
            differing = _walked_difference(span.pattern, sides, within, budget)
            if differing is not None:
                return differing
    return None


def _escaping(
    outer: Sequence[Pattern], inner: Pattern, within: Collection[Pattern] | None, budget: Budget
) -> Iterator[str]:
    """Names covered by `inner` and not by `outer`: a shortest one, or one for each of the patterns `within`."""
    if within is None:
        found = [escape(outer, inner, budget)]
    else:
        found = [escape_from(outer, [inner, one], budget) for one in within]
    return (name for name in found if name is not None)


def _touches(but: Iterable[Pattern], pattern: Pattern, budget: Budget) -> bool:
    return any(overlaps(one, pattern, budget) is not None for one in but)


def _differing(pattern: Pattern, name: str, sides: Sequence[Sequence[Span]]) -> Iterator[bool]:
    """Whether the first side has the name, for each client for which the pattern covers it and the sides differ."""
    segments = name.split("/")
    for user, group in readings(pattern, segments):
        has = [any(span.has_name(segments, user, (group,)) for span in side) for side in sides]
        if has[0] != has[1]:
            yield has[0]


def _walked_difference(
    start: Pattern, sides: Sequence[Sequence[Span]], within: Collection[Pattern] | None, budget: Budget
) -> tuple[str, bool] | None:
    """Like `difference`, for names covered by `start`."""
    limits = {one.text: one for one in within or ()}
    by_text = {one.text: one for side in sides for span in side for one in (span.pattern, *span.but)} | limits
    patterns = list(by_text.values())
    for met in covered_names([start], patterns, budget=budget):  # places are counted from `start`
        for own in met.required:
            covered = {patterns[one.place - 1].text for one in met.others if agree(own, one)}
            has = [any(span.has(covered) for span in side) for side in sides]
            if has[0] != has[1] and (within is None or not covered.isdisjoint(limits)):
                return met.name, has[0]
    return None


def agree(own: Match, other: Match) -> bool:
    """Whether the variables of `other` have the values that they have in `own`; one unused in `own` has none."""
    return other.user in ("", own.user) and other.group in ("", own.group)


def _applies(rule: Rule, who: HypotheticalClient, given: Given) -> Condition | None:
    """The open condition of the rule for `who`; None if the rule does not apply."""
    unconditional = replace(rule, condition=None)
    context = Context(given.service, given.client, given.now or _ANY_TIME)
    if objection(unconditional, who.identity, who.groups, context) is not None:
        return None
    return left_open(rule, anonymous=who.identity.is_anonymous, given=given)


def bound(pattern: Pattern, who: HypotheticalClient) -> Iterator[Pattern]:
    """The pattern with its variables filled in, in every way for this client; empty if nothing can fill them.

    `${user}` is kept if its value is not known.
    """
    users = _fillings(pattern, SegmentKind.USER, [who.identity.user_value], stays=who.is_open)
    groups = _fillings(pattern, SegmentKind.GROUP, who.groups, stays=who.is_unnamed and not who.groups)
    for user, group in product(users, groups):
        text = pattern.text.replace("${user}", user).replace("${group}", group)
        yield pattern if text == pattern.text else parse_pattern(text)


def _fillings(pattern: Pattern, kind: SegmentKind, names: Collection[str], *, stays: bool) -> list[str]:
    variable = "${user}" if kind is SegmentKind.USER else "${group}"
    if stays or not pattern.uses(kind):
        return [variable]
    return sorted(name for name in names if is_path_component(name))


def _cut(reach: Reach, denies: Collection[Cut], budget: Budget) -> Iterator[Reach]:
    """The reach after the denies, once for each set of actions with the same cuts."""
    budget.spend(1 + len(denies) // 4)
    meeting = [
        deny
        for deny in denies
        if deny.rule.resource_type == reach.rule.resource_type
        and not are_apart(reach.when, deny.when)
        and overlaps(reach.pattern, deny.pattern, budget.question()) is not None
    ]
    by_cuts: dict[tuple[Cut, ...], set[str]] = {}
    for action in in_order(reach.actions):
        cuts = [
            replace(deny, when=ALWAYS) if implies(reach.when, deny.when) else deny
            for deny in meeting
            if deny.rule.decides(action)
        ]
        if not any(cut.when == ALWAYS and cut.pattern.text in ("**", reach.pattern.text) for cut in cuts):
            by_cuts.setdefault(tuple(cuts), set()).add(action)
    for cuts_, actions in by_cuts.items():
        yield replace(reach, actions=frozenset(actions), cuts=cuts_)
