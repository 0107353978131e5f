"""Exact answers about patterns as sets of names: is one empty, do two overlap, does one lie within others.

A pattern is a regular language over segments. `escapes` searches what some patterns cover and others do not; `walk`
runs any number of patterns side by side over all legal names. Nothing is sampled, and whatever is possible is met with
its shortest name. Every question has a step budget, of its own where none is handed in; see `budget`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product

from tokenserver.policy.analysis.escapes import Path, shortest_path
from tokenserver.policy.analysis.product_search import Match, Meeting, Walk
from tokenserver.policy.analysis.segment_automata import DIGITS, LETTERS
from tokenserver.policy.budget import Budget
from tokenserver.policy.patterns import Pattern, SegmentKind, matches
from tokenserver.scopes import is_path_component

__all__ = [
    "Match",
    "Meeting",
    "contains",
    "escape",
    "escape_from",
    "is_empty",
    "may_overlap",
    "meeting_at",
    "overlaps",
    "readings",
    "walk",
]


def contains(outer: Iterable[Pattern], inner: Pattern, budget: Budget | None = None) -> bool:
    """Whether every name that `inner` can cover, for whatever user and group, is covered by some pattern of `outer`.

    A variable in `outer` stands for what the same variable stands for in `inner`, and for nothing else.

    Raises:
        TooComplex: not decided within the budget.
    """
    return escape(outer, inner, budget) is None


def escape(outer: Iterable[Pattern], inner: Pattern, budget: Budget | None = None) -> str | None:
    """The shortest name that `inner` can cover and `outer` does not, as `contains` has it; None if there is none.

    With variables it may be some characters longer than the shortest one.

    Raises:
        TooComplex: not decided within the budget.
    """
    meeting = [pattern for pattern in outer if may_overlap(pattern, inner)]
    if any(_lies_below(pattern, inner) for pattern in meeting):
        return None
    return escape_from(meeting, [inner], budget)


def escape_from(outer: Iterable[Pattern], inner: Sequence[Pattern], budget: Budget | None = None) -> str | None:
    """Like `escape`, for what all of `inner` cover for one and the same client.

    Raises:
        TooComplex: not decided within the budget.
    """
    budget = budget or Budget()
    has = {kind: any(pattern.uses(kind) for pattern in inner) for kind in _VARIABLES}
    # A variable that stands for nothing takes nothing.
    avoided = [pattern for pattern in outer if all(has[kind] or not pattern.uses(kind) for kind in _VARIABLES)]
    path = shortest_path(inner, avoided, budget)
    if path is None:
        return None
    found = next(_checked(path, inner, avoided), None)
    return found if found is not None else _walked_escape(inner, avoided, budget)


def _checked(path: Path, inner: Sequence[Pattern], avoided: Sequence[Pattern]) -> Iterator[str]:
    """The names of a path with one user's and one group's name in all their places, which do escape."""
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
    """The words, and the first one with another last character; one that is empty where there are none."""
    if not words:
        return [""]
    others = (words[0][:-1] + character for character in LETTERS + DIGITS)
    return dict.fromkeys([*words, *others])


def _walked_escape(inner: Sequence[Pattern], avoided: Sequence[Pattern], budget: Budget) -> str | None:
    """An escape with every client told apart, as it takes where few words are left for a user or a group."""
    for met in Walk(inner, avoided, are_together=True, budget=budget).meetings():
        segments = met.name.split("/")
        users = {own.user for own in met.required}
        groups = {own.group for own in met.required}
        if any(_escapes(segments, user, group, inner, avoided) for user in users for group in groups):
            return met.name
    return None


def is_empty(pattern: Pattern, budget: Budget | None = None) -> bool:
    """Whether the pattern covers no legal name for any user and any groups.

    Raises:
        TooComplex: not decided within the budget.
    """
    return overlaps(pattern, pattern, budget) is None


def overlaps(one: Pattern, other: Pattern, budget: Budget | None = None) -> str | None:
    """The shortest name that both can cover, each for some user and some groups of its own; None if none is.

    Raises:
        TooComplex: not decided within the budget.
    """
    if not may_overlap(one, other):
        return None
    budget = budget or Budget()
    both = (one,) if one == other else (one, other)
    path = shortest_path(both, (), budget)
    if path is None:
        return None
    segments = [word for word, _ in path]
    if all(any(True for _ in readings(pattern, segments)) for pattern in both):
        return "/".join(segments)
    # Where only one of them has variables, it does not matter whose they are.
    are_together = not (_has_variables(one) and _has_variables(other))
    walk = Walk(both, [], are_together=are_together, budget=budget)
    return next((met.name for met in walk.meetings()), None)


def readings(pattern: Pattern, segments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The users and groups for whom the pattern covers the name made of `segments` (empty: whoever it is)."""
    words = list(dict.fromkeys(filter(is_path_component, segments)))
    users = words if pattern.uses(SegmentKind.USER) else [""]
    groups = words if pattern.uses(SegmentKind.GROUP) else [""]
    return (pair for pair in product(users, groups) if matches(pattern, segments, pair[0], (pair[1],)))


def meeting_at(name: str, others: Sequence[Pattern], first: int) -> Meeting:
    """How `others`, of which the first one has the place `first`, can cover a name, without a walk that meets it."""
    segments = name.split("/")
    found = (
        Match(place, user, group)
        for place, pattern in enumerate(others, first)
        for user, group in readings(pattern, segments)
    )
    return Meeting(name, frozenset(), frozenset(found))


def walk(
    required: Sequence[Pattern],
    others: Sequence[Pattern] = (),
    named: Collection[str] = (),
    taken: Collection[str] = (),
    budget: Budget | None = None,
) -> Iterator[Meeting]:
    """For every client, every way in which `others` can cover, or not cover, a name that all `required` cover.

    All patterns are about the same client. Users and groups that must be tried by name are in `named`; those whom
    nobody names are told apart as far as patterns can tell them apart, and have no name that is in `taken`. Each way
    comes with its shortest name, and shorter names come first.

    Raises:
        TooComplex: not all of it was met within the budget.
    """
    return Walk(required, others, named, taken, are_together=True, budget=budget).meetings()


def may_overlap(one: Pattern, other: Pattern) -> bool:
    """Whether the literal beginnings agree as far as both go. Where they do not, no name is covered by both."""
    shorter, longer = sorted((one, other), key=lambda pattern: pattern.depth)
    return longer.prefix.split("/")[: shorter.depth] == shorter.prefix.split("/")[: shorter.depth]


_VARIABLES = (SegmentKind.USER, SegmentKind.GROUP)


def _has_variables(pattern: Pattern) -> bool:
    return pattern.uses(SegmentKind.USER) or pattern.uses(SegmentKind.GROUP)


def _lies_below(outer: Pattern, inner: Pattern) -> bool:
    """The common case of containment, seen at once: `outer` is `inner`, or a whole tree with `inner` below its root.

    Their literal beginnings agree already.
    """
    if outer.text == inner.text:
        return True
    is_tree = len(outer.rest) == 1 and outer.rest[0].kind is SegmentKind.MANY
    return is_tree and inner.depth >= outer.depth and inner.depth + len(inner.rest) > outer.depth
