"""Containment: exact answers about patterns as sets of names: emptiness, overlap, containment, and shortest witnesses.

A pattern is a regular language over segments. `escapes` searches for names that some patterns cover and others do not;
`covered_names` searches the product automaton of any number of patterns over all legal names. Nothing is sampled, and
every witness is a shortest one. Every question has a step budget, its own unless one is passed in; see `budget`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product

from tokenserver.patterns import Pattern, SegmentKind, matches
from tokenserver.policy.analysis.escapes import Path, shortest_path
from tokenserver.policy.analysis.partial_patterns import any_partial, partial_escape, partial_names, partial_overlap
from tokenserver.policy.analysis.product_search import CoveredName, Match, ProductSearch
from tokenserver.policy.budget import Budget
from tokenserver.policy.variables.filling import VARIABLES, has_variables
from tokenserver.policy.variables.readings import readings
from tokenserver.policy.variables.segment_automata import DIGITS, LETTERS

__all__ = [
    "CoveredName",
    "Match",
    "contains",
    "covered_name",
    "covered_names",
    "escape",
    "escape_from",
    "is_empty",
    "may_overlap",
    "overlaps",
]


def contains(outer: Iterable[Pattern], inner: Pattern, budget: Budget | None = None) -> bool:
    """Whether every name that `inner` can cover, for any user and group, is covered by some pattern of `outer`.

    A variable in `outer` has the same value as in `inner`; one that `inner` does not use has no value.

    Raises:
        TooComplex: not decided within the budget.
    """
    return escape(outer, inner, budget) is None


def escape(outer: Iterable[Pattern], inner: Pattern, budget: Budget | None = None) -> str | None:
    """The shortest name that `inner` can cover and `outer` does not, in the sense of `contains`; None if none exists.

    With variables it may be some characters longer than the shortest one.

    Raises:
        TooComplex: not decided within the budget.
    """
    overlapping = [pattern for pattern in outer if may_overlap(pattern, inner)]
    if any(_contains_trivially(pattern, inner) for pattern in overlapping):
        return None
    return escape_from(overlapping, [inner], budget)


def escape_from(outer: Iterable[Pattern], inner: Sequence[Pattern], budget: Budget | None = None) -> str | None:
    """Like `escape`, for the names that all of `inner` cover for the same client.

    Raises:
        TooComplex: not decided within the budget.
    """
    budget = budget or Budget()
    has = {kind: any(pattern.uses(kind) for pattern in inner) for kind in VARIABLES}
    # A variable without a value matches nothing.
    avoided = [pattern for pattern in outer if all(has[kind] or not pattern.uses(kind) for kind in VARIABLES)]
    if any_partial((*inner, *avoided)):
        return partial_escape(inner, avoided, budget)
    path = shortest_path(inner, avoided, budget)
    if path is None:
        return None
    found = next(_checked(path, inner, avoided), None)
    return found if found is not None else _product_escape(inner, avoided, budget)


def _checked(path: Path, inner: Sequence[Pattern], avoided: Sequence[Pattern]) -> Iterator[str]:
    """The names that do escape among those of a path with one user and one group in all their places."""
    by_label = [[word for word, label in path if label[part]] for part in (0, 1)]
    for user, group in product(*map(_of_one_length, by_label)):
        segments = [user if label[0] else group if label[1] else word for word, label in path]
        if _escapes(segments, user, group, inner, avoided):
            yield "/".join(segments)


def _escapes(
    segments: Sequence[str], user: str, group: str, inner: Sequence[Pattern], avoided: Sequence[Pattern]
) -> bool:
    """Whether all of `inner` cover the name for this user in this group, and none of `avoided` does."""
    return all(matches(pattern, segments, user, (group,)) for pattern in inner) and not any(
        matches(pattern, segments, user, (group,)) for pattern in avoided
    )


def _of_one_length(words: Sequence[str]) -> Iterable[str]:
    """The words, and the variants of the first one with another last character; a single empty one without words."""
    if not words:
        return [""]
    others = (words[0][:-1] + character for character in LETTERS + DIGITS)
    return dict.fromkeys([*words, *others])


def _product_escape(inner: Sequence[Pattern], avoided: Sequence[Pattern], budget: Budget) -> str | None:
    """An escape by product search, which distinguishes every client.

    That is necessary where few words are left for a user or a group.
    """
    for found in ProductSearch(inner, avoided, are_together=True, budget=budget).covered_names():
        segments = found.name.split("/")
        users = {match.user for match in found.required}
        groups = {match.group for match in found.required}
        if any(_escapes(segments, user, group, inner, avoided) for user in users for group in groups):
            return found.name
    return None


def is_empty(pattern: Pattern, budget: Budget | None = None) -> bool:
    """Whether the pattern covers no legal name for any user and any groups.

    Raises:
        TooComplex: not decided within the budget.
    """
    return overlaps(pattern, pattern, budget) is None


def overlaps(one: Pattern, other: Pattern, budget: Budget | None = None) -> str | None:
    """The shortest name that both can cover, each for some user and groups of its own; None if none exists.

    Raises:
        TooComplex: not decided within the budget.
    """
    if not may_overlap(one, other):
        return None
    budget = budget or Budget()
    if any_partial((one, other)):
        return partial_overlap(one, other, budget)
    both = (one,) if one == other else (one, other)
    path = shortest_path(both, (), budget)
    if path is None:
        return None
    segments = [word for word, _ in path]
    if all(any(True for _ in readings(pattern, segments)) for pattern in both):
        return "/".join(segments)
    # Where only one of them has variables, it does not matter whether the clients are the same.
    are_together = not (has_variables(one) and has_variables(other))
    search = ProductSearch(both, [], are_together=are_together, budget=budget)
    return next((found.name for found in search.covered_names()), None)


def covered_name(name: str, others: Sequence[Pattern], first: int) -> CoveredName:
    """How `others` can cover a given name, without a search. `first` is the place of the first of them."""
    segments = name.split("/")
    found = (
        Match(place, user, group)
        for place, pattern in enumerate(others, first)
        for user, group in readings(pattern, segments)
    )
    return CoveredName(name, frozenset(), frozenset(found))


def covered_names(
    required: Sequence[Pattern],
    others: Sequence[Pattern] = (),
    named: Collection[str] = (),
    taken: Collection[str] = (),
    budget: Budget | None = None,
) -> Iterator[CoveredName]:
    """For every client, every way in which `others` can cover, or not cover, a name that all `required` cover.

    All patterns are about the same client. `named` are users and groups that must be tried by name. Unnamed ones are
    distinguished as far as patterns can distinguish them, and have no name in `taken`. Each way comes with its shortest
    name, shorter names first.

    Raises:
        TooComplex: the budget is spent before all of them were found.
    """
    if any_partial((*required, *others)):
        return partial_names(required, others, named, taken, budget or Budget())
    return ProductSearch(required, others, named, taken, are_together=True, budget=budget).covered_names()


def may_overlap(one: Pattern, other: Pattern) -> bool:
    """Whether the literal prefixes agree as far as both go. If they do not, no name is covered by both."""
    shorter, longer = sorted((one, other), key=lambda pattern: pattern.depth)
    return longer.prefix.split("/")[: shorter.depth] == shorter.prefix.split("/")[: shorter.depth]


def _contains_trivially(outer: Pattern, inner: Pattern) -> bool:
    """Common cases of containment: `outer` is `inner`, or a whole tree with `inner` below its root.

    Their literal prefixes agree already.
    """
    if outer.text == inner.text and outer.captures == inner.captures:
        return True
    is_tree = len(outer.rest) == 1 and outer.rest[0].kind is SegmentKind.MANY
    return is_tree and inner.depth >= outer.depth and inner.depth + len(inner.rest) > outer.depth
