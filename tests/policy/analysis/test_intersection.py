"""Intersections of patterns, as patterns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from pattern_languages import NAMES, plain, readings, with_variables

from tokenserver.policy.analysis.containment import contains
from tokenserver.policy.analysis.intersection import intersection, is_exact, with_group
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.patterns import Pattern, parse_pattern


# One example counts thousands of names, so that thousands of them are a night's work.
@settings(deadline=None, max_examples=min(settings().max_examples, 5_000))
@given(plain | with_variables, plain | with_variables)
def test_the_intersection_agrees_with_counting(one: Pattern, other: Pattern) -> None:
    """It has every name that both have; without globs no other one, and no pattern that the others cover."""
    found = intersection(one, other)
    for name in NAMES:
        in_both = any(readings(one, name)) and any(readings(other, name))
        in_found = any(any(readings(made, name)) for made in found)
        assert in_found or not in_both
        if is_exact(one, other) and "${" not in one.text + other.text:
            assert in_both or not in_found
    assert not any(contains([*found[:place], *found[place + 1 :]], made) for place, made in enumerate(found))


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        pytest.param("web/**", "**/prod", ["web/prod", "web/**/prod"], id="trees"),
        pytest.param("**", "**/**", ["**/**"], id="one-covers-another"),
        pytest.param("a/**", "b/**", [], id="apart"),
        pytest.param("a/x", "a/y", [], id="names-apart"),
        pytest.param("a/b*", "a/c", [], id="glob-and-name-apart"),
        pytest.param("**/a", "**/a", ["**/a"], id="the-same"),
        pytest.param("**/a", "**/**/a", ["**/**/a"], id="one-tree-in-another"),
        pytest.param("a*/x", "*/**", ["a*/x"], id="narrower-glob"),
        pytest.param("users/${user}/*", "users/ann/**", ["users/ann/*"], id="variable-and-name"),
        pytest.param("users/*/x", "users/${user}/x", ["users/${user}/x"], id="variable-and-glob"),
        pytest.param("a*", "*b", ["a*"], id="globs-side-by-side"),
        pytest.param("t/${group}/*", "t/*/${group}", ["t/${group}/*"], id="each its own group"),
        pytest.param("t/*/${group}", "t/${group}/*", ["t/*/${group}"], id="each its own group, the other way round"),
        pytest.param("${group}/${group}/*", "${group}/*/${group}", ["${group}/${group}/${group}"], id="one group"),
        pytest.param("t/*/*", "t/${group}/${group}", ["t/${group}/${group}"], id="a group twice in one pattern"),
        pytest.param("**/${group}", "${group}/**", ["*/${group}", "*/**/${group}"], id="groups-and-trees"),
    ],
)
def test_intersection(one: str, other: str, common: list[str]) -> None:
    """What two patterns have in common, as patterns."""
    assert [made.text for made in intersection(parse_pattern(one), parse_pattern(other))] == common


@pytest.mark.parametrize(
    ("one", "other", "exact"),
    [
        ("a/${group}", "a/**", True),
        ("a/${user}", "${user}/**", True),
        ("a/${group}", "${group}/**", False),
        ("a/*", "a/**", False),
    ],
)
def test_is_exact(one: str, other: str, *, exact: bool) -> None:
    """Globs and two groups are represented by patterns that cover more."""
    assert is_exact(parse_pattern(one), parse_pattern(other)) is exact


def test_a_group_is_filled_in() -> None:
    """The pattern is what it would be had it been written so."""
    assert with_group(parse_pattern("teams/${group}/**"), "web") == parse_pattern("teams/web/**")


def test_an_intersection_with_too_many_patterns_is_not_spelled() -> None:
    """Each `**` of the one can lie before, behind or within each of the other."""
    one, other = (parse_pattern("/".join(f"**/{letter}{number}" for number in range(8)) + "/**") for letter in "ab")
    with pytest.raises(
        TooComplex, match="the intersection of two patterns takes more than 1,000 patterns; fix: use fewer"
    ):
        intersection(one, other)
