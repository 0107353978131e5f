"""Values in the place of variables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import NAMES, WORDS, partial
from pattern_languages import covers, plain, with_variables

from tokenserver.patterns import Capture, Pattern, SegmentKind, parse_pattern
from tokenserver.policy.variables.filling import (
    captured,
    filled,
    has_variables,
    is_partial,
    pattern_of,
    segments_of,
    widened,
)

CAPTURES = (Capture("r-", ""), Capture("", "-w"))


@settings(deadline=None)
@given(partial | plain | with_variables)
def test_a_pattern_is_made_of_its_segments(pattern: Pattern) -> None:
    """Both ways, with its captures."""
    assert pattern_of(segments_of(pattern), pattern.captures) == pattern


GROUPS = ["a", "r-a", "a-w", "r-a-w", "b-a", "-", ""]


@settings(deadline=None)
@given(partial, st.sampled_from(NAMES), st.sampled_from([*WORDS, "a-"]), st.sampled_from(GROUPS))
def test_a_filled_pattern_covers_what_the_pattern_covers_for_them(
    pattern: Pattern, name: str, user: str, group: str
) -> None:
    """No more and no less; and the wider pattern covers it for everybody in some group."""
    found = filled(pattern, user, group)
    assert not any(map(has_variables, found))
    is_covered = covers(pattern, name, user, group)
    assert any(covers(one, name) for one in found) == is_covered
    for_user = filled(pattern, user=user)
    assert any(covers(one, name, None, group) for one in for_user) == is_covered
    assert not is_covered or any(covers(widened(pattern), name, user, part) for part in [group, *name.split("/")])


@pytest.mark.parametrize(
    ("text", "user", "group", "expected"),
    [
        pytest.param("a/${user}-x", "ann", None, ["a/ann-x"], id="user"),
        pytest.param("a/${user}-*", "ann", None, ["a/ann-*"], id="user-and-glob"),
        pytest.param("a/${user}/${group}", None, "web", ["a/${user}/web"], id="group-alone"),
        pytest.param("a/${user}/${group}", None, None, ["a/${user}/${group}"], id="neither"),
        pytest.param("a/${user}-x", "ann-", None, [], id="no-path-component"),
        pytest.param("a/${user}-x", "", None, [], id="nobody"),
        pytest.param("a/b", "", "", ["a/b"], id="no-variables"),
        pytest.param("${team}/x", None, "r-web", ["web/x"], id="capture"),
        pytest.param("${team}/x", None, "web", [], id="no-capture"),
        pytest.param("${team}/x", None, "r-web-w", ["web-w/x", "r-web/x"], id="two-captures"),
    ],
)
def test_filled(text: str, user: str | None, group: str | None, expected: list[str]) -> None:
    """None leaves a variable as it is."""
    pattern = parse_pattern(text, "team", CAPTURES) if "team" in text else parse_pattern(text)
    found = filled(pattern, user, group)
    assert [one.text for one in found] == expected
    assert all(one.uses(SegmentKind.USER) == ("${user}" in one.text) for one in found)


@pytest.mark.parametrize(
    ("text", "partial", "wide"),
    [
        ("a/${user}/${group}", False, "a/${user}/${group}"),
        ("a/${user}-x/${group}", True, "a/*-x/${group}"),
        ("x-*${user}", True, "x-*"),
        ("${group}-*", True, "*-*"),
        ("${team}/x", True, "*/x"),
        ("a/*", False, "a/*"),
    ],
)
def test_widened(text: str, wide: str, *, partial: bool) -> None:
    """A `*` for each part, and variables that are a whole segment stay."""
    pattern = parse_pattern(text, "team", CAPTURES) if "team" in text else parse_pattern(text)
    assert is_partial(pattern) is partial
    assert widened(pattern) == parse_pattern(wide)


def test_what_is_captured() -> None:
    """Without captures, the whole name, if it is a path component."""
    team, group = parse_pattern("${team}", "team", CAPTURES), parse_pattern("${group}")
    assert [captured(team, name) for name in ("r-a", "r-a-w", "a", "r-.")] == [["a"], ["a-w", "r-a"], [], []]
    assert [captured(group, name) for name in ("r-a", "r-")] == [["r-a"], []]
