"""The product search: every way in which patterns cover a name."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_globs import NO_WORD_BUT_A
from pattern_languages import COMPONENTS, NAMES, covers, plain, with_variables

from tokenserver.policy.analysis.containment import covered_names
from tokenserver.policy.patterns import Pattern, parse_pattern


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
