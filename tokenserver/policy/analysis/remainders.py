"""Remainders: names that a pattern covers and that some others, which have no variables, take away again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tokenserver.patterns import Pattern, matches
from tokenserver.policy.analysis.containment import escape, escape_from, may_overlap
from tokenserver.policy.budget import Budget


@dataclass(frozen=True, slots=True)
class Remainder:
    """The names that `pattern` covers and none of `without` does."""

    pattern: Pattern
    without: tuple[Pattern, ...] = ()

    def has_name(self, segments: Sequence[str], user: str | None, groups: Collection[str]) -> bool:
        """Whether the name with these `segments` is one of them, for this user in these groups."""
        covered = matches(self.pattern, segments, user, groups)
        return covered and not any(matches(one, segments, None, ()) for one in self.without)


def escape_remainders(outer: Iterable[Remainder], inner: Sequence[Pattern], budget: Budget | None = None) -> str | None:
    """Like `escape_from`: a name that all of `inner` cover and that is in none of `outer`; None if there is none.

    Raises:
        TooComplex: not decided within the budget.
    """
    near = [one for one in outer if all(may_overlap(one.pattern, pattern) for pattern in inner)]
    whole, partial = [one.pattern for one in near if not one.without], [one for one in near if one.without]
    if not partial and len(inner) == 1:
        return escape(whole, inner[0], budget)  # which is faster in common cases
    return _escape(whole, partial, inner, budget or Budget())


def _escape(
    whole: Sequence[Pattern], partial: Sequence[Remainder], inner: Sequence[Pattern], budget: Budget
) -> str | None:
    found = escape_from([*whole, *(one.pattern for one in partial)], inner, budget)
    if found is not None or not partial or escape_from(whole, inner, budget) is None:
        return found
    # An escape is not covered by the first one, or taken away from it.
    first, *others = partial
    choices = [([*whole, first.pattern], inner), *((whole, [*inner, one]) for one in first.without)]
    escapes = (_escape(avoided, others, required, budget) for avoided, required in choices)
    return next((name for name in escapes if name is not None), None)
