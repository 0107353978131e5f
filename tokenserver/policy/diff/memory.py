"""Walks over the same patterns that are asked for again and again, as the rules of many actions and causes are."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.policy.analysis.containment import CoveredName, covered_names
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.patterns import Pattern

WALKS = 16
"""So many are remembered; with many names in each, that is some hundred thousand."""


class Retold:
    """What a walk meets, each time from the beginning; it goes on only where nobody was before.

    A walk that was too complex once is so each time.
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
"""Required patterns, the texts of the others, the names to try, where there is a variable, and the steps for it."""


class RememberedWalks:
    """The last walks, within `budget`. `reserved` are names of users and groups that nobody unnamed has."""

    def __init__(self, reserved: frozenset[str], budget: Budget) -> None:
        self._reserved, self._budget = reserved, budget
        self._walks: dict[_Walk, Retold] = {}

    def meetings(
        self, required: tuple[Pattern, ...], others: tuple[Pattern, ...], names: tuple[str, ...] | None, steps: int
    ) -> Iterator[CoveredName]:
        """The result of `containment.covered_names` for these patterns, which several actions mostly share.

        Raises:
            TooComplex: not all of it was met in so many steps.
        """
        key = (required, tuple([pattern.text for pattern in others]), names, steps)
        met = self._walks.get(key)
        if met is None:
            if len(self._walks) >= WALKS:
                del self._walks[next(iter(self._walks))]
            named, taken = ((), frozenset[str]()) if names is None else (names, self._reserved)
            met = self._walks[key] = Retold(covered_names(required, others, named, taken, self._budget.question(steps)))
        return iter(met)
