"""Covering rules: the rules of a policy set that could cover a given rule, found without comparing every pair.

A covering rule covers each name of the rule, so also the example in which a text that occurs nowhere else takes the
place of every wildcard and variable. An example is none of the names that the rule's `not` takes away. The index of the
policy set has the rules that cover this one name for one of the rule's principals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

from tokenserver.patterns import Pattern, Segment, SegmentKind, matches, matches_below
from tokenserver.policy.analysis.subsumption import known_groups, known_of_workload
from tokenserver.policy.index import buckets_for, is_taken_away
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import Bucket, Entry, Groups, PolicySet, Principals, Rule
from tokenserver.policy.variables.filling import WHOLE, captures_of, segments_of
from tokenserver.scopes import is_repository_name

LONGEST_TREE = 3
"""Number of segments that take the place of a `**` at most, where `not` takes shorter examples away."""


@dataclass(frozen=True, slots=True)
class _Example:
    """A name that a pattern covers for `user` in `groups`.

    Without the variable, there is no user, and the groups are those that a client of the rule is certainly in.
    """

    segments: list[str]
    user: str | None
    groups: tuple[str, ...]


class CoveringRules:
    """The rules of `policies` as candidates for covering others, of the same or of another policy set."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        patterns = (pattern for rule in policies.rules for pattern in (*rule.patterns, *rule.without))
        self._literals = frozenset(chain.from_iterable(pattern.text.split("/") for pattern in patterns))

    def of(self, rule: Rule) -> list[Rule]:
        """The other rules that could cover this one, by id. All that do are among them.

        A rule that covers each principal of this one is listed in the index for any one of them.
        """
        example = self._example_of(rule)
        if example is None:
            return sorted((other for other in self._policies.rules if other is not rule), key=lambda other: other.id)
        found: dict[str, Rule] = {}
        for bucket in buckets_for(self._policies.index, rule.resource_type, example.segments):
            for other, pattern in _entries(self._policies, bucket, rule.to):
                if (
                    other is not rule
                    and other.id not in found
                    and matches_below(pattern, example.segments, example.user, example.groups)
                    and not is_taken_away(other, example.segments)
                ):
                    found[other.id] = other
        return [found[name] for name in sorted(found)]

    def _example_of(self, rule: Rule) -> _Example | None:
        """An example of the rule; None if none was found, so that nothing can be excluded."""
        held = tuple(next(known_groups(rule.to, self._policies.groups), ())) if rule.to.are_named else ()
        for pattern in sorted(rule.patterns, key=lambda pattern: pattern.depth):
            for length in range(1, LONGEST_TREE + 1):
                example = self._example(pattern, length, held)
                if example is not None and not is_taken_away(rule, example.segments):
                    return example
                if not rule.without:
                    break
        return None

    def _example(self, pattern: Pattern, length: int, held: tuple[str, ...]) -> _Example | None:
        """An example of a pattern, in which `length` segments take the place of each `**`; None if there is none.

        No pattern has one of its texts as a literal by chance. So if one covers it, its literal prefix is no longer.
        """
        parts = segments_of(pattern)
        invented = [one for one in parts if one.kind is not SegmentKind.LITERAL]
        fillings = (f"z{number}" for number in count())
        filling = next(
            one for one in fillings if all(_segment_of(each, one) not in self._literals for each in invented)
        )
        segments = [
            text
            for one in parts
            for text in [_segment_of(one, filling)] * (length if one.kind is SegmentKind.MANY else 1)
        ]
        user = _value(SegmentKind.USER, filling) if pattern.uses(SegmentKind.USER) else None
        groups = held
        if pattern.uses(SegmentKind.GROUP):
            before, after = captures_of(pattern)[0]
            groups = (f"{before}{_value(SegmentKind.GROUP, filling)}{after}",)
        example = _Example(segments, user, groups)
        is_name = is_repository_name("/".join(segments))
        return example if is_name and matches(pattern, segments, user, groups) else None


def _segment_of(segment: Segment, filling: str) -> str:
    """One segment of an example."""
    match segment.kind:
        case SegmentKind.LITERAL:
            return segment.text
        case SegmentKind.GLOB:
            return segment.text.replace("*", filling)
        case SegmentKind.MANY:
            return filling
        case SegmentKind.USER | SegmentKind.GROUP:  # pragma: no branch - the type checker proves that none is left
            around = (text.replace("*", filling) for text in segment.pieces or WHOLE)
            return _value(segment.kind, filling).join(around)


def _value(kind: SegmentKind, filling: str) -> str:
    """The value of a variable in an example."""
    return f"{filling}u" if kind is SegmentKind.USER else f"{filling}g"


def _entries(policies: PolicySet, bucket: Bucket, to: Principals) -> Iterator[Entry]:
    """The broad entries, and those for one principal of `to`, by its name and by every group it is known to be in.

    The principal is a user or robot, a directory group, or a workload.
    """
    yield from bucket.broad
    if not to.are_named:
        return
    groups = policies.groups
    inhabited = [name for name in to.groups if _has_members(groups, name)]
    user, group, directory_group = min(to.users, default=None), min(inhabited, default=None), None
    if user is None and group is None:  # the rule is for nobody, which any rule covers
        yield from chain.from_iterable((*bucket.by_user.values(), *bucket.by_group.values()))
    if user is None and group is not None:
        yield from bucket.by_group.get(group, ())
        defined = groups.by_name.get(group)
        if defined is None:
            directory_group = group
        else:
            user = min(defined.users, default=None)
            directory_group = min(defined.groups, default=None) if user is None else None
    if user is not None:
        yield from bucket.by_user.get(user, ())
        names = groups.by_user.get(user, frozenset())
    else:
        names = _held_by_members(directory_group, groups) if directory_group is not None else frozenset()
    for name in sorted(names):
        yield from bucket.by_group.get(name, ())


def _held_by_members(name: str, groups: Groups) -> frozenset[str]:
    """The groups that every member of a directory group or client of a workload is in."""
    workload = workload_of(name)
    if workload is not None:
        return known_of_workload(workload, groups)
    return groups.by_directory_group.get(name, frozenset()) | {name}


def _has_members(groups: Groups, name: str) -> bool:
    """Whether somebody can be in the group. One of a directory can have members, unless one of the tree hides it."""
    defined = groups.by_name.get(name)
    return defined is None or bool(defined.users or defined.groups)
