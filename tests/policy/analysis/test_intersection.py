"""Intersections of patterns, as patterns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from partial_languages import NAMES as PARTIAL_NAMES
from partial_languages import all_readings, partial
from pattern_languages import NAMES, plain, readings, with_variables
from slow_properties import slow_examples

from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.analysis.containment import contains
from tokenserver.policy.analysis.intersection import intersection, is_exact, with_group
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.variables.filling import is_partial


# One example counts thousands of names, so that thousands of them are a night's work.
@slow_examples(most=5_000)
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
        pytest.param("a/**", "**/**", ["a/**"], id="one-way-to-meet-covers-another"),
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


# One example counts hundreds of names.
@settings(deadline=None, max_examples=min(settings().max_examples, 5_000))
@given(partial, partial)
def test_the_intersection_of_partial_patterns_agrees_with_counting(one: Pattern, other: Pattern) -> None:
    """It has every name that both have for the same user, for this user; a group each."""
    try:
        found = intersection(one, other)
    except TooComplex:
        return
    assert not is_exact(one, other) or not (is_partial(one) or is_partial(other))
    for name in PARTIAL_NAMES:
        for user in {who for who, _ in all_readings(one, name)} | {who for who, _ in all_readings(other, name)}:
            if all(any(who in ("", user) for who, _ in all_readings(each, name)) for each in (one, other)):
                assert any(who in ("", user) for made in found for who, _ in all_readings(made, name))


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        pytest.param("a/${user}-x", "a/ann-x/**", [], id="lengths"),
        pytest.param("a/${user}-x", "a/ann-x", ["a/ann-x"], id="name"),
        pytest.param("a/${user}-x", "a/-x", [], id="no-value"),
        pytest.param("a/${user}-x", "a/ann", [], id="name-apart"),
        pytest.param("a/${user}-x", "**", ["a/${user}-x"], id="tree"),
        pytest.param("a/${user}-x", "a/b*", ["a/${user}-x"], id="glob"),
        pytest.param("a/b-*", "a/${user}-*", ["a/${user}-*"], id="glob-first"),
        pytest.param("a/${user}-x", "a/*-y", [], id="glob-apart"),
        pytest.param("a/${user}-x", "a/${group}", ["a/${user}-x"], id="whole-variable"),
        pytest.param("a/${group}-x", "a/*/${group}", [], id="group-and-length"),
        pytest.param("${group}-x/*", "*/${group}-x", ["${group}-x/*-x"], id="each its own group"),
    ],
)
def test_intersection_with_parts(one: str, other: str, common: list[str]) -> None:
    """What two patterns have in common, where a variable is a part of a segment."""
    parsed = [Pattern("a/-x", "a/-x", 2, ()) if text == "a/-x" else parse_pattern(text) for text in (one, other)]
    assert [made.text for made in intersection(parsed[0], parsed[1])] == common


def test_intersection_with_captures() -> None:
    """The groups are those of the pattern that has some, or of the first one."""
    captures = (Capture("r-", ""),)
    team = parse_pattern("${team}/**", "team", captures)
    assert [(made.text, made.captures) for made in intersection(parse_pattern("a*/x"), team)] == [
        ("${team}/x", captures)
    ]
    assert [made.captures for made in intersection(parse_pattern("**"), team)] == [captures]
    assert [made.text for made in intersection(team, parse_pattern("*/${group}"))] == ["${team}/*"]
    assert [made.text for made in intersection(parse_pattern("x/*"), team)] == ["x/*"]
