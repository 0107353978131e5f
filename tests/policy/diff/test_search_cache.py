"""The search cache: equal questions share a search, and only the latest searches are kept."""

from __future__ import annotations

from tokenserver.patterns import Capture, parse_pattern
from tokenserver.policy.budget import Budget
from tokenserver.policy.diff.search_cache import MAX_SEARCHES, SearchCache

STEPS = 1_000


def test_equal_questions_share_a_search() -> None:
    """The second one takes no further steps and has the same names."""
    budget = Budget()
    cache = SearchCache(frozenset(), budget)
    question = ((parse_pattern("web/*"),), (parse_pattern("web/a*"),), None, STEPS)
    first = list(cache.covered_names(*question))
    left = budget.left
    assert list(cache.covered_names(*question)) == first
    assert len(first) == 2
    assert budget.left == left


def test_patterns_that_capture_differently_are_other_questions() -> None:
    """Although their texts are equal."""
    cache = SearchCache(frozenset(), Budget())
    required = (parse_pattern("*/a"),)
    groups = [
        {
            match.group
            for found in cache.covered_names(required, (parse_pattern("${t}/a", "t", (capture,)),), (), STEPS * 100)
            for match in found.others
        }
        for capture in (Capture("r-", ""), Capture("s-", ""))
    ]
    assert [{group[:2] for group in found} for found in groups] == [{"r-"}, {"s-"}]


def test_only_the_latest_searches_are_kept() -> None:
    """The oldest search is dropped at the limit, and searched again when it is needed."""
    budget = Budget()
    cache = SearchCache(frozenset(), budget)
    first, *others = [((parse_pattern(f"t{number}/*"),), (), None, STEPS) for number in range(MAX_SEARCHES + 1)]
    names = list(cache.covered_names(*first))
    for question in others:
        assert list(cache.covered_names(*question)) != names
    left = budget.left
    assert list(cache.covered_names(*others[0])) != names
    assert budget.left == left
    assert list(cache.covered_names(*first)) == names
    assert budget.left < left
