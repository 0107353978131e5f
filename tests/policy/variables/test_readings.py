"""Readings of a name: all users and groups for which a pattern covers it, against a search of all parts of the name."""

from __future__ import annotations

from itertools import combinations

import pytest
import variable_patterns as world
from hypothesis import given

from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.variables.readings import matches_somebody, readings


def brute_force(pattern: Pattern, name: str) -> set[tuple[str, str]]:
    """Every user and group for which the pattern covers the name, of all whose values are somewhere in it."""
    parts = {name[start:end] for start, end in combinations(range(len(name) + 1), 2)}
    users = parts if "${user}" in pattern.text else {""}
    groups = {""}
    if pattern.captures:
        groups = {f"{before}{part}{after}" for before, after in pattern.captures for part in parts}
    elif "${group}" in pattern.text:
        groups = parts
    return {(user, group) for user in users for group in groups if world.covers(pattern, name, user, (group,))}


@given(world.cases)
def test_readings_are_all_users_and_groups_that_the_name_is_covered_for(case: tuple[Pattern, str]) -> None:
    """None is missing and none is too many."""
    pattern, name = case
    found = set(readings(pattern, name.split("/")))
    assert found == brute_force(pattern, name)
    assert matches_somebody(pattern, name.split("/")) is (found != set())


TEAM = (Capture("r-", "-w"), Capture("admin-", ""))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param("web/**", "web/x", [("", "")], id="no-variable"),
        pytest.param("web/**", "data/x", [], id="another-beginning"),
        pytest.param("${user}/**", "ann/x", [("ann", "")], id="user"),
        pytest.param("${user}/${group}", "ann/web", [("ann", "web")], id="both"),
        pytest.param("${user}-*", "a-b-c", [("a", ""), ("a-b", "")], id="a-star-leaves-it-open"),
        pytest.param("x*${user}", "xyz", [("yz", ""), ("z", "")], id="a-star-before"),
        pytest.param("x*${user}", "x", [], id="no-empty-value"),
        pytest.param("${group}-x/${group}", "a-x/a", [("", "a")], id="twice"),
        pytest.param("${group}-x/${group}", "a-x/b", [], id="twice-and-different"),
        pytest.param("${group}/x", "host:5000/x", [], id="no-legal-value"),
        pytest.param("a-${group}", "a-b-c", [("", "b-c")], id="inside"),
    ],
)
def test_readings_of_a_name(pattern: str, name: str, expected: list[tuple[str, str]]) -> None:
    """Users by the value of `${user}`, groups by their names."""
    assert sorted(readings(parse_pattern(pattern), name.split("/"))) == expected


def test_readings_with_captures_are_names_of_groups() -> None:
    """The whole name of each group whose captured part is in the name."""
    pattern = parse_pattern("shared/${team}-*", "team", TEAM)
    assert sorted(readings(pattern, ["shared", "a-b-c"])) == [
        ("", "admin-a"),
        ("", "admin-a-b"),
        ("", "r-a-b-w"),
        ("", "r-a-w"),
    ]
