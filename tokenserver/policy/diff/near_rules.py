"""Near rules: the rules of both trees that can decide on the names of one cause, and those that decide on one name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from tokenserver.identity import Namespaces, Sort
from tokenserver.patterns import Capture, Pattern, Segment, matches
from tokenserver.policy.analysis.containment import CoveredName, contains, may_overlap
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.diff.changed_names import Who
from tokenserver.policy.diff.claims import Claim
from tokenserver.policy.diff.frontier import Bindings, CoveringRule, RulesOnName
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import Effect, Rule
from tokenserver.policy.variables.filling import VARIABLES, has_variables, is_partial, segments_of
from tokenserver.policy.variables.readings import readings


@dataclass(frozen=True, slots=True)
class Cause:
    """A possible cause of a difference: an allow of the tree `after` and, if it is not new, a deny of `before`.

    It is about clients of the sort `sort`. The names in question are those that all of `required` cover; the last of
    these patterns alone covers the same.
    """

    allow: Claim
    deny: Claim | None
    required: tuple[Pattern, ...]
    sort: Sort = Sort.USER

    @property
    def who(self) -> Who:
        """The clients that the allow and the deny mean."""
        return self.allow.who if self.deny is None else self.allow.who | self.deny.who

    @property
    def without(self) -> tuple[Pattern, ...]:
        """What the `not` of its rules takes away, as far as these patterns may cover a name in question."""
        claims = [self.allow, *([self.deny] if self.deny is not None else [])]
        found = dict.fromkeys(pattern for claim in claims for pattern in claim.rule.without)
        return tuple(pattern for pattern in found if may_overlap(pattern, self.required[-1]))


class NearRule(NamedTuple):
    """A rule of a tree under one of its patterns, which is at `place` among all patterns of a search."""

    tree: Tree
    rule: Rule
    pattern: Pattern
    place: int


MAX_PARTS = 8
"""Limit for the parts under `not` of rivals in which a name is sought before the search over all of them."""


class NearRules:
    """The rules of the trees `before` and `after` whose patterns may cover a name of `cause`.

    `patterns` are all of these patterns and those under `not`, each once. `namespaces`: what user sources map names to.
    """

    def __init__(self, before: Tree, after: Tree, cause: Cause, namespaces: Namespaces | None) -> None:
        self._before, self._after = before, after
        self._cause = cause
        self._namespaces = namespaces
        self._places: dict[tuple[str, tuple[Capture, ...]], int] = {}
        self.patterns: list[Pattern] = []
        resource_type, required, action = cause.allow.rule.resource_type, cause.required, cause.allow.action
        self._entries = [
            NearRule(tree, rule, pattern, self._place(pattern))
            for tree in (before, after)
            for rule, pattern in tree.near(resource_type, required, action)
        ]
        self.rules: Collection[Rule] = {id(one.rule): one.rule for one in self._entries}.values()
        known = {id(rule) for rule in self.rules if rule.without}
        self._taking = [
            (rule, self._place(pattern))
            for tree in ((before, after) if known else ())
            for rule, pattern in tree.taking_away(required)
            if id(rule) in known
        ]

    def _place(self, pattern: Pattern) -> int:
        # In two rules, one text can stand for members of different groups.
        key = pattern.text, pattern.captures
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self._cause.required) + len(self.patterns)
            self.patterns.append(pattern)
        return place

    def names(self) -> tuple[str, ...] | None:
        """The users and groups that the rules distinguish; None if no pattern has a variable."""
        variable = [pattern for pattern in self.patterns if pattern.rest and has_variables(pattern)]
        if not variable:
            return None
        texts = {segment.text for pattern in self.patterns for segment in segments_of(pattern)}
        found: set[str] = set()
        for people in (people for rule in self.rules for people in (rule.to, rule.excluded) if people is not None):
            found |= people.users | people.groups
        groups = texts | found | _read_in(texts, variable) | self._groups_of_machines()
        for tree in (self._before, self._after):
            for name in groups & tree.groups.by_name.keys():
                group = tree.groups.by_name[name]
                found |= {name} | group.users | group.groups
        if self._namespaces is not None:
            found = found.union(*map(self._namespaces.possible, found))
        names = found if any(map(is_partial, variable)) else found | texts
        return tuple(sorted(name for name in names if robot_of(name) is None and workload_of(name) is None))

    def _groups_of_machines(self) -> set[str]:
        """The groups with machines of the sort that the cause is about: these are in no other groups."""
        groups = [group for tree in (self._before, self._after) for group in tree.groups.by_name.values()]
        if self._cause.sort is Sort.ROBOT:
            return {group.name for group in groups if any(robot_of(name) is not None for name in group.users)}
        if self._cause.sort is Sort.WORKLOAD:
            return {group.name for group in groups if any(workload_of(name) is not None for name in group.groups)}
        return set()

    def openings(
        self, concerns: Callable[[Tree, Rule], bool], budget: Budget
    ) -> Iterator[tuple[list[Pattern], tuple[Pattern, ...]]]:
        """Questions for `escape_from`, the patterns to avoid and those to fit, for a name that no rival covers.

        Only rivals for which `concerns` is true count. Such a name is outside of their patterns, or within a part that
        the `not` of one of them takes away; of many such parts, only some are tried.

        Raises:
            TooComplex: the whole budget is spent.
        """
        known = {
            id(one.rule): concerns(one.tree, one.rule) and not self._is_taken_away(one.rule, budget)
            for one in self._entries
            if self._is_rival(one.tree, one.rule)
        }
        rivals = [one for one in self._entries if known.get(id(one.rule))]
        required = self._cause.required
        yield [*(one.pattern for one in rivals), *self._cause.without], required
        parts = ((rule, self.patterns[place - len(required)]) for rule, place in self._taking if known.get(id(rule)))
        for rule, part in islice(parts, MAX_PARTS):
            others = [one.pattern for one in rivals if one.rule is not rule]
            yield [*others, *self._cause.without], (*required, part)

    def _is_taken_away(self, rule: Rule, budget: Budget) -> bool:
        """Whether the `not` of the rule certainly covers all names in question."""
        try:
            return bool(rule.without) and any(
                contains(rule.without, pattern, budget.question()) for pattern in self._cause.required
            )
        except TooComplex:
            if budget.is_spent:
                raise
            return False

    def _is_rival(self, tree: Tree, rule: Rule) -> bool:
        if tree is self._after:
            return rule.effect is Effect.DENY
        return self._cause.deny is None and rule.effect is Effect.ALLOW

    def on_name(self, covered: CoveredName) -> RulesOnName | None:
        """The rules that decide on the name; None if a rule of the cause does not cover it."""
        cause = self._cause
        by_place: dict[int, Bindings] = {}
        for match in sorted(covered.others):
            by_place.setdefault(match.place, []).append((match.user, match.group))
        taken = {id(rule) for rule, place in self._taking if place in by_place}
        near = [one for one in self._entries if one.place in by_place and id(one.rule) not in taken]
        # Only the pattern in question counts: the rule's other patterns are other causes.
        sides = [(self._after, cause.allow), *([(self._before, cause.deny)] if cause.deny is not None else [])]
        causing: list[CoveringRule] = []
        for tree, claim in sides:
            places = (
                one.place
                for one in near
                if one.tree is tree and one.rule.id == claim.rule.id and one.pattern.text == claim.written.text
            )
            place = next(places, None)
            bindings = [] if place is None else _bound_by(claim, covered.name, by_place[place])
            if not bindings:
                return None
            causing.append(self._covering(tree, claim.rule, bindings))
        rivals: dict[tuple[bool, str], CoveringRule] = {}
        for one in near:
            if self._is_rival(one.tree, one.rule):
                whole = self._covering(one.tree, one.rule, [])
                rivals.setdefault((one.tree is self._after, one.rule.id), whole).bindings.extend(by_place[one.place])
        return RulesOnName(covered.name, causing, [*rivals.values()])

    def _covering(self, tree: Tree, rule: Rule, bindings: Bindings) -> CoveringRule:
        return CoveringRule(rule, tree.groups, bindings, self._namespaces is not None, tree.machines)


def _bound_by(claim: Claim, name: str, bindings: Bindings) -> Bindings:
    """Those of the users and groups for which the claim covers the name: by its one capture, or its one group."""
    if claim.group:
        return [(user, group) for user, group in bindings if group == claim.group]
    if claim.pattern.captures:
        segments = name.split("/")
        return [(user, group) for user, group in bindings if matches(claim.pattern, segments, user, (group,))]
    return bindings


def captured(names: Iterable[str], patterns: Iterable[Pattern]) -> set[str]:
    """The values of the variable of these patterns for members of the groups with these names."""
    captures = {capture for pattern in patterns for capture in pattern.captures}
    values = (capture.value(name) for capture in captures for name in names)
    return {value for value in values if value is not None}


def _read_in(texts: Iterable[str], patterns: Iterable[Pattern]) -> set[str]:
    """The users and groups for which segments with a variable match one of these texts, if they are not the text."""
    segments: set[tuple[Segment, tuple[Capture, ...]]] = {
        (segment, pattern.captures)
        for pattern in patterns
        for segment in pattern.rest
        if segment.kind in VARIABLES and (segment.pieces or pattern.captures)
    }
    return {
        name
        for segment, captures in segments
        for text in texts
        for reading in readings(Pattern(segment.text, "", 0, (segment,), captures=captures), [text])
        for name in reading
    }
