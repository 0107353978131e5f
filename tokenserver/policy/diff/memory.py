"""Memoized product searches: many actions and causes ask for the same patterns again."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.policy.analysis.containment import CoveredName, covered_names
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.patterns import Pattern

WALKS = 16
"""Searches that are kept. With many names in each, that is some hundred thousand names."""


class Retold:
    """The names that a search covers, replayed from the start; the search itself advances only past its known end.

    If the search exceeds its budget, every later iteration raises the same error at that point.
    """

    def __init__(self, met: Iterator[CoveredName]) -> None:
        self._met = met
        self._known: list[CoveredName] = []
        self._error: TooComplex | None = None

    def __iter__(self) -> Iterator[CoveredName]:
        place = 0
        while True:
            if place == len(self._known):
                following = self._following()
                if following is None:
                    return
                self._known.append(following)
            yield self._known[place]
            place += 1

    def _following(self) -> CoveredName | None:
        if self._error is None:
            try:
                return next(self._met, None)
            except TooComplex as error:
                self._error = error
        raise self._error


_Walk = tuple[tuple[Pattern, ...], tuple[str, ...], tuple[str, ...] | None, int]
"""Required patterns, the texts of the others, the names to try for variables (None: no variables), and the steps."""


class RememberedWalks:
    """The latest searches, within `budget`. `reserved` are names that an arbitrary user or group never has."""

    def __init__(self, reserved: frozenset[str], budget: Budget) -> None:
        self._reserved, self._budget = reserved, budget
        self._walks: dict[_Walk, Retold] = {}

    def meetings(
        self, required: tuple[Pattern, ...], others: tuple[Pattern, ...], names: tuple[str, ...] | None, steps: int
    ) -> Iterator[CoveredName]:
        """The result of `containment.covered_names` for these patterns, which several actions usually share.

        Raises:
            TooComplex: the search did not end within `steps`.
        """
        key = (required, tuple([pattern.text for pattern in others]), names, steps)
        met = self._walks.get(key)
        if met is None:
            if len(self._walks) >= WALKS:
                del self._walks[next(iter(self._walks))]
            named, taken = ((), frozenset[str]()) if names is None else (names, self._reserved)
            met = self._walks[key] = Retold(covered_names(required, others, named, taken, self._budget.question(steps)))
        return iter(met)
