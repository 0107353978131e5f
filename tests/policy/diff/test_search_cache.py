"""Memoized product searches: each is made once, and only the latest are kept."""

from __future__ import annotations

from tokenserver.policy.budget import Budget
from tokenserver.policy.diff.search_cache import MAX_SEARCHES, SearchCache
from tokenserver.policy.patterns import parse_pattern


def test_a_search_is_made_once_while_it_is_among_the_latest() -> None:
    """A repeated search costs no steps; one that sixteen others have pushed out is made again, with the same result."""
    budget = Budget(1_000_000, of="one command")
    searches = SearchCache(frozenset(), budget)

    def cost_and_names(number: int) -> tuple[int, list[str]]:
        before = budget.left
        found = [one.name for one in searches.covered_names((parse_pattern(f"team-{number}/*"),), (), None, 10_000)]
        return before - budget.left, found

    first = cost_and_names(0)
    assert first == (first[0], ["team-0/x"])
    assert first[0] > 0
    assert cost_and_names(0) == (0, ["team-0/x"])
    for number in range(1, MAX_SEARCHES):
        cost_and_names(number)
    assert cost_and_names(0)[0] == 0
    cost_and_names(MAX_SEARCHES)
    assert cost_and_names(MAX_SEARCHES)[0] == 0
    assert cost_and_names(0) == first
