"""Spans: what a `what_can` test expects, independent of rules; and whether two lists of spans have the same names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from tokenserver.patterns import Pattern, matches
from tokenserver.policy.analysis.containment import covered_names, escape, escape_from
from tokenserver.policy.analysis.intersection import intersection, is_exact
from tokenserver.policy.analysis.remainders import Remainder
from tokenserver.policy.budget import Budget
from tokenserver.policy.queries.what_can import Reach, agree, spell_pattern, touches
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import in_order


@dataclass(frozen=True, slots=True)
class Span:
    """Actions on the names that `pattern` covers and none of `but` does, nor is one `partly` taken away.

    It is independent of the rule. `partly` are the names that deny rules with `not` take away.
    """

    actions: frozenset[str]
    type: str
    pattern: Pattern
    but: tuple[Pattern, ...] = ()
    partly: tuple[Remainder, ...] = ()

    @property
    def patterns(self) -> Iterator[Pattern]:
        """All patterns that tell whether a name is in the span."""
        return chain([self.pattern], self.but, *([one.pattern, *one.without] for one in self.partly))

    def has(self, covered: Collection[str]) -> bool:
        """Whether the span has a name that is covered by exactly the patterns with the texts `covered`."""

        def is_one(one: Remainder) -> bool:
            return one.pattern.text in covered and not any(each.text in covered for each in one.without)

        is_cut = any(one.text in covered for one in self.but) or any(map(is_one, self.partly))
        return self.pattern.text in covered and not is_cut

    def has_name(self, segments: Sequence[str], user: str, groups: Collection[str]) -> bool:
        """Whether the span has the name, for this user in these groups."""
        covered = matches(self.pattern, segments, user, groups)
        is_cut = any(matches(one, segments, user, groups) for one in self.but)
        return covered and not is_cut and not any(one.has_name(segments, user, groups) for one in self.partly)

    def __str__(self) -> str:
        name = spell_pattern(self.type, self.pattern)
        but = " ".join(sorted([*(one.text for one in self.but), *map(_spell_partly, self.partly)]))
        return f"{','.join(in_order(self.actions))} {name}" + (f" except {but}" if but else "")


def span_of(reach: Reach) -> Span:
    """The reach without its rule and conditions."""
    but = (*reach.without, *(cut.pattern for cut in reach.cuts if not cut.without))
    partly = tuple(cut.names for cut in reach.cuts if cut.without)
    return Span(reach.actions, reach.rule.resource_type, reach.pattern, but, partly)


def as_written(span: Span, budget: Budget) -> Iterator[Span]:
    """Spans that together have the same names, as a test can be written; the span itself if patterns cannot say it."""
    pairs = [(one, spared) for one in span.partly for spared in one.without]
    if not all(is_exact(span.pattern, spared) for _, spared in pairs):
        yield span
        return
    yield replace(span, but=(*span.but, *(one.pattern for one in span.partly)), partly=())
    for one, spared in pairs:
        others = tuple(each for each in span.partly if each != one)
        for pattern in intersection(span.pattern, spared, budget):
            but = tuple(each for each in span.but if touches([each], pattern, budget))
            yield from as_written(replace(span, pattern=pattern, but=but, partly=others), budget)


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
            cut = [(one.pattern, [*one.but, *(each.pattern for each in one.partly)]) for one in others]
            wholes = [pattern for pattern, but in cut if not touches(but, span.pattern, budget)]
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
    by_text = {one.text: one for side in sides for span in side for one in span.patterns} | limits
    patterns = list(by_text.values())
    for met in covered_names([start], patterns, budget=budget):  # places are counted from `start`
        for own in met.required:
            covered = {patterns[one.place - 1].text for one in met.others if agree(own, one)}
            has = [any(span.has(covered) for span in side) for side in sides]
            if has[0] != has[1] and (within is None or not covered.isdisjoint(limits)):
                return met.name, has[0]
    return None


def _spell_partly(one: Remainder) -> str:
    return f"{one.pattern.text} (without {' '.join(each.text for each in one.without)})"
