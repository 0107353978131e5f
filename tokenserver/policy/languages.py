"""Exact answers about patterns as sets of names: is one empty, do two overlap, does one lie within others.

A pattern is a regular language over segments. `walk` runs any number of patterns side by side over all legal names,
so that nothing is sampled, and whatever is possible is met with its shortest name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from tokenserver.policy.patterns import Pattern, SegmentKind
from tokenserver.policy.walking import Match, Meeting, Walk

__all__ = ["Match", "Meeting", "contains", "escape", "is_empty", "may_overlap", "overlaps", "walk"]


def contains(outer: Iterable[Pattern], inner: Pattern) -> bool:
    """Whether every name that `inner` can cover, for whatever user and group, is covered by some pattern of `outer`.

    A variable in `outer` stands for what the same variable stands for in `inner`, and for nothing else.
    """
    return escape(outer, inner) is None


def escape(outer: Iterable[Pattern], inner: Pattern) -> str | None:
    """The shortest name that `inner` can cover and `outer` does not, as `contains` has it; None if there is none."""
    meeting = [pattern for pattern in outer if may_overlap(pattern, inner)]
    if any(_lies_below(pattern, inner) for pattern in meeting):
        return None
    for met in walk([inner], meeting):
        for own in met.required:
            if not any(one.user in ("", own.user) and one.group in ("", own.group) for one in met.others):
                return met.name
    return None


def is_empty(pattern: Pattern) -> bool:
    """Whether the pattern covers no legal name for any user and any groups."""
    return overlaps(pattern, pattern) is None


def overlaps(one: Pattern, other: Pattern) -> str | None:
    """The shortest name that both can cover, each for some user and some groups of its own; None if none is."""
    if not may_overlap(one, other):
        return None
    # Where only one of them has variables, it does not matter whose they are.
    are_together = not (_has_variables(one) and _has_variables(other))
    return next((met.name for met in Walk([one, other], [], are_together=are_together).meetings()), None)


def walk(
    required: Sequence[Pattern],
    others: Sequence[Pattern] = (),
    named: Collection[str] = (),
    taken: Collection[str] = (),
) -> Iterator[Meeting]:
    """For every client, every way in which `others` can cover, or not cover, a name that all `required` cover.

    All patterns are about the same client. Users and groups that must be tried by name are in `named`; those whom
    nobody names are told apart as far as patterns can tell them apart, and have no name that is in `taken`. Each way
    comes with its shortest name, and shorter names come first.
    """
    return Walk(required, others, named, taken, are_together=True).meetings()


def may_overlap(one: Pattern, other: Pattern) -> bool:
    """Whether the literal beginnings agree as far as both go. Where they do not, no name is covered by both."""
    shorter, longer = sorted((one, other), key=lambda pattern: pattern.depth)
    return longer.prefix.split("/")[: shorter.depth] == shorter.prefix.split("/")[: shorter.depth]


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
