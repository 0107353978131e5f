"""Search cache: the latest product searches of a diff, which many actions and causes share."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.patterns import Capture, Pattern
from tokenserver.policy.analysis.containment import CoveredName, covered_names
from tokenserver.policy.budget import Budget, TooComplex

MAX_SEARCHES = 16
"""Limit for the searches that are kept. With many names in each, that is some hundred thousand names."""


class ReplayableSearch:
    """The names that a search covers, iterable repeatedly; the search itself advances only past its known end.

    If the search exceeds its budget, every later iteration raises the same error at that point.
    """

    def __init__(self, names: Iterator[CoveredName]) -> None:
        self._names = names
        self._known: list[CoveredName] = []
        self._error: TooComplex | None = None

    def __iter__(self) -> Iterator[CoveredName]:
        position = 0
        while True:
            if position == len(self._known):
                following = self._following()
                if following is None:
                    return
                self._known.append(following)
            yield self._known[position]
            position += 1

    def _following(self) -> CoveredName | None:
        if self._error is None:
            try:
                return next(self._names, None)
            except TooComplex as error:
                self._error = error
        raise self._error


_Key = tuple[
    tuple[Pattern, ...], tuple[str, ...], tuple[tuple[int, tuple[Capture, ...]], ...], tuple[str, ...] | None, int
]
"""Required patterns, the texts of the others and what they capture, the names to try for variables (None: no
variables), and the steps."""


class SearchCache:
    """The latest searches, within `budget`. `reserved` are names that an arbitrary user or group never has."""

    def __init__(self, reserved: frozenset[str], budget: Budget) -> None:
        self._reserved, self._budget = reserved, budget
        self._searches: dict[_Key, ReplayableSearch] = {}

    def covered_names(
        self, required: tuple[Pattern, ...], others: tuple[Pattern, ...], names: tuple[str, ...] | None, steps: int
    ) -> Iterator[CoveredName]:
        """The result of `containment.covered_names` for these patterns, which several actions usually share.

        Raises:
            TooComplex: the search did not end within `steps`.
        """
        texts = tuple([pattern.text for pattern in others])
        captures = tuple([(place, pattern.captures) for place, pattern in enumerate(others) if pattern.captures])
        key = (required, texts, captures, names, steps)
        search = self._searches.get(key)
        if search is None:
            if len(self._searches) >= MAX_SEARCHES:
                del self._searches[next(iter(self._searches))]
            named, taken = ((), frozenset[str]()) if names is None else (names, self._reserved)
            found = covered_names(required, others, named, taken, self._budget.question(steps))
            search = self._searches[key] = ReplayableSearch(found)
        return iter(search)
