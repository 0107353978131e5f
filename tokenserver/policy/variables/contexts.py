"""Contexts: the texts around variables, and what else can be the same segment of a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.budget import Budget
from tokenserver.policy.variables.filling import WHOLE, captures_of, segments_of

Texts = tuple[str, str]
"""The texts before and after something."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """The texts around the variables of some patterns; `groups` has those in a group's name and those in a segment.

    `meetings` are the texts around variables with the globs and literals that can match the same segment of a name,
    `pairs` with those around other variables that can. `group_count` is the number of groups of one client that
    patterns tell apart: more than one if some pattern uses a group twice.
    """

    users: frozenset[Texts]
    groups: frozenset[tuple[Texts, Texts]]
    meetings: frozenset[tuple[Texts, str]]
    pairs: frozenset[tuple[Texts, Texts]]
    group_count: int

    @classmethod
    def of(cls, patterns: Iterable[Pattern], budget: Budget) -> Contexts:
        """The contexts of all patterns.

        Raises:
            TooComplex: there are too many segments to compare.
        """
        users: set[Texts] = set()
        groups: set[tuple[Texts, Texts]] = set()
        plain: dict[tuple[_Spot, str], None] = {}
        variable: dict[tuple[_Spot, Texts, Texts | None], None] = {}
        repeats, with_groups = False, 0
        for pattern in patterns:
            repeats |= pattern.repeats_group
            with_groups += pattern.uses(SegmentKind.GROUP)
            for segment, spot in zip(segments_of(pattern), _spots(pattern), strict=True):
                around = (segment.pieces[0], segment.pieces[1]) if len(segment.pieces) == 2 else WHOLE
                if segment.kind is SegmentKind.USER:
                    users.add(around)
                    variable[spot, around, None] = None
                elif segment.kind is SegmentKind.GROUP:
                    for before, after in captures_of(pattern):
                        groups.add(((before, after), around))
                        variable[spot, around, (before, after)] = None
                elif segment.kind is not SegmentKind.MANY and ":" not in segment.text:
                    plain[spot, segment.text] = None
        budget.spend(len(variable) * (len(variable) + len(plain)) // 16)
        pairs = {
            (one, other)
            for (here, one, whose), (there, other, others) in product(variable, repeat=2)
            if ((one, whose) != (other, others) or "*" in one[0] + one[1]) and here.may_be(there)
        }
        meetings = {(one, text) for (here, one, _), (there, text) in product(variable, plain) if here.may_be(there)}
        meetings |= {(one, widest(other)) for one, other in pairs if other != WHOLE}
        count = with_groups if repeats else min(with_groups, 1)
        return cls(frozenset(users), frozenset(groups), frozenset(meetings), frozenset(pairs), count)

    @property
    def arounds(self) -> frozenset[Texts]:
        """The texts around variables in segments."""
        return self.users.union(around for _, around in self.groups)

    @property
    def captures(self) -> frozenset[Texts]:
        """The texts around variables in names of groups."""
        return frozenset(capture for capture, _ in self.groups)


def widest(around: Texts) -> str:
    """The glob with a `*` for what is between these texts."""
    return "*".join(around).replace("**", "*")


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a segment of a pattern is in a name: how many segments are before and after it, at least or exactly."""

    prefix: str
    before: int
    is_before_fixed: bool
    after: int
    is_after_fixed: bool

    def may_be(self, other: _Spot) -> bool:
        """Whether the two can be the same segment of a name."""
        return (
            (not self.is_before_fixed or other.before <= self.before)
            and (not other.is_before_fixed or self.before <= other.before)
            and (not self.is_after_fixed or other.after <= self.after)
            and (not other.is_after_fixed or self.after <= other.after)
            and (f"{self.prefix}/".startswith(other.prefix) or f"{other.prefix}/".startswith(self.prefix))
        )


def _spots(pattern: Pattern) -> Iterator[_Spot]:
    """The spot of each segment."""
    segments = segments_of(pattern)
    many = [place for place, one in enumerate(segments) if one.kind is SegmentKind.MANY] or [len(segments)]
    has_many = many[0] < len(segments)
    prefix = f"{pattern.prefix}/" if pattern.depth else ""
    for place in range(len(segments)):
        is_last = not has_many or place > many[-1]
        yield _Spot(prefix, place, place < many[0], len(segments) - 1 - place, is_last)
