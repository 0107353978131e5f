"""Values that represent all others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import WORDS, partial
from pattern_languages import ONLY_A

from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.variables.filling import filled
from tokenserver.policy.variables.values import values_of
from tokenserver.scopes import is_path_component


def parsed(*texts: str) -> list[Pattern]:
    """Patterns; `${team}` is captured of two kinds of groups."""
    captures = (Capture("r-", "-w"), Capture("adm-", ""))
    return [parse_pattern(text, "team", captures) if "team" in text else parse_pattern(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "users", "groups"),
    [
        pytest.param(["a/x-${user}", "a/x-ann"], {"ann"}, set(), id="a literal"),
        pytest.param(["a/${user}-*", "a/web-ann"], {"web"}, set(), id="a part of a literal"),
        pytest.param(["a/*-${user}", "a/web-ann"], {"ann"}, set(), id="the other part"),
        pytest.param(["${team}/x", "web/*"], set(), {"r-web-w", "adm-web"}, id="captures"),
        pytest.param(["a/${user}", "a/a${user}", "a/${user}a"], {"a", "aa"}, set(), id="rotations"),
        pytest.param(["a/b"], {""}, {""}, id="no variables"),
    ],
)
def test_values_that_stand_alone(texts: list[str], users: set[str], groups: set[str]) -> None:
    """What a pattern distinguishes by name."""
    found = values_of(parsed(*texts))
    assert users <= set(found.users)
    assert groups <= set(found.groups)
    assert found.users == sorted(found.users, key=lambda one: (len(one), one))


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["a/${user}", "a/t-${group}"], id="a group's text before"),
        pytest.param(["a/${user}-x", "a/y-${group}"], id="one before, one after"),
        pytest.param(["a/${user}-x", "a/${team}"], id="captured"),
        pytest.param(["${user}-*/a", "x-${group}/a"], id="with a wildcard"),
    ],
)
def test_a_user_and_a_group_that_meet(texts: list[str]) -> None:
    """They have one segment in common."""
    found = values_of(parsed(*texts))
    users = {one.text for pattern in parsed(*texts) for user in found.users for one in filled(pattern, user, "")}
    groups = {one.text for pattern in parsed(*texts) for group in found.groups for one in filled(pattern, "", group)}
    matching = {(user, group) for user in users for group in groups if user == group or user.partition("*")[1]}
    assert matching


def test_named_values_and_taken_ones() -> None:
    """Names that fit are among them; others are not taken."""
    patterns = parsed("${user}-x/**", "${team}/**")
    fresh = values_of(patterns)
    taken = {*fresh.users, *fresh.groups}
    found = values_of(patterns, ["ann", "r-web-w", "web-", "r-.-w"], taken)
    assert {"ann", "r-web-w"} <= {*found.users, *found.groups}
    assert not {"web-", "r-.-w"} & {*found.users, *found.groups}
    assert set(found.users) - taken - {"ann"}
    assert set(found.groups) - taken - {"r-web-w"}


def test_a_class_with_few_words() -> None:
    """All of them are tried where no other is left."""
    found = values_of([*parsed("${user}/x-${user}"), *(parse_pattern(f"{text}/**") for text in [*ONLY_A, "a*"])])
    assert "a" in found.users


@settings(deadline=None)
@given(st.lists(partial, min_size=1, max_size=3))
def test_values_are_legal_and_the_same_each_time(patterns: list[Pattern]) -> None:
    """Also the steps, whatever was asked before."""
    budgets = Budget(), Budget()
    try:
        first, second = (values_of(patterns, budget=budget) for budget in budgets)
    except TooComplex:
        return
    assert (first.users, first.groups) == (second.users, second.groups)
    assert budgets[0].left == budgets[1].left
    assert all(one == "" or is_path_component(one) for one in first.users)
    for pattern in patterns:
        assert filled(pattern, first.users[0], first.groups[0]) or "${" in pattern.text


@settings(deadline=None)
@given(st.lists(partial, min_size=1, max_size=2), st.sampled_from(WORDS))
def test_some_value_is_like_each_user(patterns: list[Pattern], user: str) -> None:
    """For each user there is one for whom the patterns cover as many of the same literals."""
    literals = {one for pattern in patterns for one in pattern.text.split("/") if "$" not in one and "*" not in one}
    found = values_of(patterns)

    def equal(value: str) -> set[tuple[str, str]]:
        texts = ((one.text, part) for pattern in patterns for one in filled(pattern, value) for part in literals)
        return {(text, part) for text, part in texts if part in text.split("/")}

    if found.users != [""]:
        assert len(equal(user)) in {len(equal(value)) for value in found.users}


def test_too_many_values() -> None:
    """The budget is spent, and nothing is left out."""
    with pytest.raises(TooComplex):
        values_of(parsed(*(f"*{one}-${{user}}/{one}${{team}}-*" for one in "abcdefgh")), budget=Budget(5_000))
