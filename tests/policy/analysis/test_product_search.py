"""The product search: every way in which patterns cover a name."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_globs import NO_WORD_BUT_A
from pattern_languages import COMPONENTS, NAMES, covers, plain, with_variables

from tokenserver.patterns import Pattern, parse_pattern
from tokenserver.policy.analysis.containment import covered_names
from tokenserver.policy.analysis.product_search import ProductSearch, segments_of, shortest_ends
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.scopes import is_repository_name


@settings(deadline=None)
@given(st.lists(with_variables | plain, min_size=1, max_size=3), st.sampled_from(NAMES), st.sampled_from(COMPONENTS))
def test_covered_names_have_every_way_in_which_patterns_cover_a_name(
    patterns: list[Pattern], name: str, user: str
) -> None:
    """For any patterns that cover a name for a user in a group, some result is covered by exactly those."""
    group = "b"
    wanted = {place for place, one in enumerate(patterns) if covers(one, name, user, group)}
    met = [
        {match.place - 1 for match in covered.others if match.user in ("", who) and match.group in ("", team)}
        for covered in covered_names([parse_pattern("**")], patterns)
        for who in {match.user for match in covered.others} | {""}
        for team in {match.group for match in covered.others} | {""}
    ]
    assert wanted in met


def test_a_product_search_tries_all_words_of_a_small_class() -> None:
    """Of a class with one word alone, that word is the user's and nobody's in turn."""
    others = [parse_pattern(f"{text}/**") for text in NO_WORD_BUT_A]
    met = [one for one in covered_names([parse_pattern("*/${user}")], others) if not one.others]
    assert {one.name.partition("/")[0] for one in met} == {"a"}
    assert {match.user == "a" for one in met for match in one.required} == {True, False}


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        pytest.param("web", [4, 0], id="one literal"),
        pytest.param("web/site", [9, 5, 0], id="two literals"),
        pytest.param("**", [2, 0], id="a tree needs one character"),
        pytest.param("a*/${user}/x", [6, 4, 2, 0], id="globs and variables need one"),
    ],
)
def test_what_a_name_needs_at_least(text: str, ends: list[int]) -> None:
    """From each segment on, with a slash each; the search never considers a name that cannot become legal."""
    segments = segments_of(parse_pattern(text))
    assert "/".join(segment.text for segment in segments) == text
    assert shortest_ends(segments) == ends


@settings(deadline=None)
@given(st.lists(with_variables | plain, min_size=1, max_size=2), st.lists(with_variables | plain, max_size=2))
def test_names_come_shortest_first(required: list[Pattern], others: list[Pattern]) -> None:
    """Every name is covered by all required patterns, for the users and groups of its matches."""
    found = [*islice(ProductSearch(required, others, are_together=True).covered_names(), 20)]
    assert [len(one.name) for one in found] == sorted(len(one.name) for one in found)
    for one in found:
        assert is_repository_name(one.name)
        assert {match.place for match in one.required} == set(range(len(required)))
        for match in (*one.required, *one.others):
            pattern = [*required, *others][match.place]
            assert covers(pattern, one.name, match.user or None, match.group or None)


def test_a_search_spends_its_budget() -> None:
    """It ends with an error, and not with the names that it has found so far."""
    required, others = [parse_pattern("**")], [parse_pattern(f"**/*{one}*/**") for one in "abcdef"]
    with pytest.raises(TooComplex):
        list(ProductSearch(required, others, are_together=True, budget=Budget(5_000)).covered_names())
