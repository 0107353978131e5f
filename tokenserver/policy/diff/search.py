"""The search behind `diff`: whether, for whom and when one claim makes a difference between two trees.

Nothing is sampled. For one claim, `containment.covered_names` finds every way in which the rules of both trees can
cover a name, and `Circumstances` every circumstance that they distinguish. For each name, `ClientSearch` finds the
minimal clients that gain, by circumstance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tokenserver.identity import ANONYMOUS as NOBODY
from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.circumstances import Cell, Circumstances
from tokenserver.policy.analysis.conditions import CREDENTIALS
from tokenserver.policy.analysis.containment import CoveredName, covered_name, escape_from
from tokenserver.policy.analysis.intersection import intersection, is_exact
from tokenserver.policy.analysis.product_search import segments_of
from tokenserver.policy.budget import QUESTION_STEPS, SEARCH_STEPS, Budget, TooComplex
from tokenserver.policy.decide import objection
from tokenserver.policy.diff.claims import ANONYMOUS, Claim, Person, Who, changed_groups, listed, ways
from tokenserver.policy.diff.frontier import Bindings, ClientSearch, CoveringRule, RulesOnName
from tokenserver.policy.diff.partition import Partition
from tokenserver.policy.diff.search_cache import SearchCache
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.model import Effect, Principal, Rule
from tokenserver.policy.patterns import Pattern, SegmentKind
from tokenserver.policy.principals import UNNAMED


@dataclass(frozen=True, slots=True)
class Cause:
    """A possible cause of a difference: an allow of the tree `after` and, if it is not new, a deny of `before`.

    The names in question are those that all of `required` cover; the last of these patterns alone covers the same.
    """

    allow: Claim
    deny: Claim | None
    required: tuple[Pattern, ...]

    @property
    def who(self) -> Who:
        """The clients that the allow and the deny mean."""
        return self.allow.who if self.deny is None else self.allow.who | self.deny.who


@dataclass(frozen=True, slots=True)
class Witness:
    """A name and an identity that only one of two trees grants access to it."""

    name: str
    identity: Identity


_Key = tuple[bool, str, str]
"""Whether a rule is in the tree `after`, its id, and one of its patterns (empty: all together)."""


class Search:
    """The search for what `after` grants and `before` does not.

    `stranger` is the name of a user that no rule and no pattern can mean; `reserved` are the names of all users and
    groups of both trees; times before `since` do not count. Methods raise `TooComplex` when `budget` is exceeded.
    """

    def __init__(  # noqa: PLR0917 - two trees and the question about them
        self,
        before: Tree,
        after: Tree,
        stranger: str,
        reserved: frozenset[str],
        since: datetime,
        budget: Budget,
    ) -> None:
        self._budget = budget
        self._before, self._after = before, after
        self._stranger, self._since = stranger, since
        self._namespaces = after.policies.namespaces
        self._searches = SearchCache(reserved, budget)

    def causes(self, lost: Iterable[Claim], gained: Iterable[Claim]) -> Iterator[Cause]:
        """Every possible cause: new allows, and allows that a lost deny overrode.

        A claim that a wider rule of the other tree covers is not a cause: a new allow that was granted before matters
        only where a deny overrode it, and then that deny is the cause.
        """
        changed = changed_groups(self._before.groups, self._after.groups)
        for claim in gained:
            if claim.rule.effect is Effect.ALLOW and not self._before.covers(claim, changed, self._budget):
                yield Cause(claim, None, (claim.pattern,))
        for deny in lost:
            if deny.rule.effect is Effect.DENY and not self._after.covers(deny, changed, self._budget):
                for rule, pattern in self._after.near(deny.rule.resource_type, [deny.pattern], deny.action):
                    if rule.effect is Effect.ALLOW:
                        for one in listed(rule.to):
                            if (one == ANONYMOUS) == (ANONYMOUS in deny.who):
                                allow = Claim(rule, pattern, deny.action, frozenset({one}), pattern)
                                both = () if is_exact(pattern, deny.pattern) else (pattern, deny.pattern)
                                for common in intersection(pattern, deny.pattern, self._budget):
                                    yield Cause(allow, deny, (*both, common))

    def differences(self, cause: Cause) -> tuple[Circumstances, dict[Who, dict[Cell, Witness]]]:
        """The people for whom the cause makes a difference, in which circumstances, each with a witness.

        Only minimal people are listed: a client with more groups than these gains as well.
        """
        entries = [
            (tree, rule, pattern)
            for tree in (self._before, self._after)
            for rule, pattern in tree.near(cause.allow.rule.resource_type, cause.required, cause.allow.action)
        ]
        rules = {id(rule): rule for _, rule, _ in entries}.values()
        kinds = (Kind.ANONYMOUS,) if ANONYMOUS in cause.who else tuple(sorted(CREDENTIALS))
        circumstances = Circumstances.of(rules, kinds, self._since, self._budget)
        places: dict[str, int] = {}
        patterns: list[Pattern] = []
        for _, _, pattern in entries:
            if pattern.text not in places:
                places[pattern.text] = len(cause.required) + len(patterns)
                patterns.append(pattern)
        partition = Partition(circumstances.cells(), self._budget)
        names = self._names(rules, patterns)
        seeds = self._seeds(cause)
        clients = ClientSearch(seeds, self.identity, self._budget)

        def is_settled(covered: CoveredName) -> bool:
            """Whether this name settles the cause: everyone that the cause means gains on it or on an earlier one."""
            on_name = self._on_name(cause, covered, entries, places)
            if on_name is not None:
                clients.search(on_name, partition)
            return partition.is_settled

        search = partial(self._searches.covered_names, cause.required, tuple(patterns), names)
        try:
            any(map(is_settled, search(QUESTION_STEPS)))
        except TooComplex:
            # A name that no rival of the simplest person covers often settles the cause, and needs no product search.
            rivals = [
                pattern
                for tree, rule, pattern in entries
                if self._is_rival(cause, tree, rule) and self._concerns(tree, rule, seeds[:1], partition.cells)
            ]
            name = escape_from(rivals, cause.required, self._budget.question())
            if name is None or not is_settled(covered_name(name, patterns, len(cause.required))):
                any(map(is_settled, search(SEARCH_STEPS)))
        return circumstances, self._by_people(cause, partition)

    def _concerns(self, tree: Tree, rule: Rule, seeds: Iterable[Person], cells: Collection[Cell]) -> bool:
        """Whether the rule applies to any of these persons in any of these cells, on the names that it covers."""
        self._budget.spend(1 + len(cells) // 4)
        identities = [(self.identity(seed, cell.kind), cell.context) for seed in seeds for cell in cells]
        return any(
            one is not None and objection(rule, one, tree.groups.holding(one), context) is None
            for one, context in identities
        )

    def _is_rival(self, cause: Cause, tree: Tree, rule: Rule) -> bool:
        """Whether the rule can cancel the effect of the cause."""
        if tree is self._after:
            return rule.effect is Effect.DENY
        return cause.deny is None and rule.effect is Effect.ALLOW

    def _on_name(
        self,
        cause: Cause,
        covered: CoveredName,
        entries: Iterable[tuple[Tree, Rule, Pattern]],
        places: Mapping[str, int],
    ) -> RulesOnName | None:
        """The rules that decide on the name; None if a rule of the cause does not cover it."""
        covering = self._covering(self._after, covered, entries, places)
        # Only the pattern in question counts: the rule's other patterns are other causes.
        causing = [covering.get((True, cause.allow.rule.id, cause.allow.written.text))]
        if cause.deny is not None:
            causing.append(covering.get((False, cause.deny.rule.id, cause.deny.written.text)))
        present = [one for one in causing if one is not None]
        if len(present) < len(causing):
            return None
        rivals = [
            one
            for (is_after, _, pattern), one in covering.items()
            if not pattern and self._is_rival(cause, self._after if is_after else self._before, one.rule)
        ]
        return RulesOnName(covered.name, present, rivals)

    def _covering(
        self,
        after: Tree,
        covered: CoveredName,
        entries: Iterable[tuple[Tree, Rule, Pattern]],
        places: Mapping[str, int],
    ) -> dict[_Key, CoveringRule]:
        """The rules that can cover the name, by rule and by single pattern."""
        by_place: dict[int, Bindings] = {}
        for match in sorted(covered.others):
            by_place.setdefault(match.place, []).append((match.user, match.group))
        covering: dict[_Key, CoveringRule] = {}
        maps_names = self._namespaces is not None
        for tree, rule, pattern in entries:
            bindings = by_place.get(places[pattern.text])
            if bindings:
                is_after = tree is after
                whole = covering.setdefault((is_after, rule.id, ""), CoveringRule(rule, tree.groups, [], maps_names))
                whole.bindings.extend(bindings)
                covering[is_after, rule.id, pattern.text] = CoveringRule(rule, tree.groups, bindings, maps_names)
        return covering

    def _names(self, rules: Collection[Rule], patterns: Collection[Pattern]) -> tuple[str, ...] | None:
        """The users and groups that the rules distinguish; None if no pattern has a variable."""
        if not any(pattern.uses(SegmentKind.USER) or pattern.uses(SegmentKind.GROUP) for pattern in patterns):
            return None
        groups = {segment.text for pattern in patterns for segment in segments_of(pattern)}
        users: set[str] = set()
        for people in (people for rule in rules for people in (rule.to, rule.excluded) if people is not None):
            users |= people.users
            groups |= people.groups
        found = users | groups
        for tree in (self._before, self._after):
            for name in groups & tree.groups.by_name.keys():
                found |= tree.groups.by_name[name].users | tree.groups.by_name[name].groups
        return tuple(sorted(found))

    def _seeds(self, cause: Cause) -> list[Person]:
        """The minimal persons that are all that the cause means."""
        sides = [(self._after, one) for one in sorted(cause.allow.who)]
        if cause.deny is not None:
            sides += [(self._before, one) for one in sorted(cause.deny.who)]
        seeds: list[Person] = [Person()]
        for tree, principal in sides:
            steps = list(ways(tree.groups, principal))
            if principal == ANONYMOUS:
                return steps
            seeds = [more for seed in seeds for way in steps if (more := seed.joined(way)) is not None]
        return sorted(set(seeds), key=lambda seed: (seed.size, seed.user, seed.namespace, sorted(seed.groups)))

    def identity(self, person: Person, kind: Kind) -> Identity | None:
        """An identity that is exactly `person`; None if no user of this name can have this namespace."""
        if person.anonymous:
            return NOBODY
        user, namespace = person.user, None
        if self._namespaces is not None:
            namespace = person.namespace or (self._namespaces.of(user) if user else UNNAMED)
            namespace = UNNAMED if namespace is None else namespace
            if person.namespace and not user:
                user = self._namespaces.only_name(person.namespace) or ""
            if person.namespace and user and not self._namespaces.is_possible(user, person.namespace):
                return None
        return Identity(user or self._stranger, kind, groups=person.groups, namespace=namespace)

    def _by_people(self, cause: Cause, partition: Partition) -> dict[Who, dict[Cell, Witness]]:
        by_people: dict[Who, dict[Cell, Witness]] = {}
        for block in partition.blocks:
            for added, (name, person) in block.gains.items():
                if not any(other != added and other <= added for other in block.gains):
                    by_cell = by_people.setdefault(cause.who | self._as_principals(added), {})
                    for cell in partition.cells_of(block):
                        identity = self.identity(person, cell.kind)
                        assert identity is not None  # noqa: S101 - the person was tried as one
                        by_cell[cell] = Witness(name, identity)
        return by_people

    def _as_principals(self, person: Person) -> Who:
        trees = (self._before.groups.by_name, self._after.groups.by_name)
        groups = {
            Principal("directory" if any(name in tree for tree in trees) else "group", name) for name in person.groups
        }
        names = (Principal("user", person.user), Principal("namespace", person.namespace))
        return frozenset(groups.union(one for one in names if one.name))
