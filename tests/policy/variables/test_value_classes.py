"""Classes of values: the shortest of each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import WORDS, partial
from pattern_languages import ONLY_A

from tokenserver.patterns import Pattern, SegmentKind, parse_pattern
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.variables.contexts import Contexts
from tokenserver.policy.variables.filling import filled
from tokenserver.policy.variables.value_classes import Distinctions, shortest_values
from tokenserver.scopes import is_path_component


def values(*texts: str, taken: frozenset[str] = frozenset()) -> list[str]:
    """The values of some patterns."""
    budget = Budget()
    return shortest_values(Contexts.of(map(parse_pattern, texts), budget), taken, budget)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["a/${user}-x"], {"x", "y"}, id="one-class"),
        pytest.param(["a/${user}-x", "a/ann-x"], {"ann", "y", "z"}, id="a-literal"),
        pytest.param(["a/${user}-x", "a/ann-x/b"], {"x", "y"}, id="a-literal-elsewhere"),
        pytest.param(["a/${user}-x", "a/b*"], {"b", "x", "y", "bx"}, id="a-glob"),
        pytest.param(["a/*-${user}", "a/b-c"], {"c"}, id="behind-a-wildcard"),
        pytest.param(["a/${user}-*", "a/b-c"], {"b"}, id="before-a-wildcard"),
    ],
)
def test_the_shortest_of_each_class(texts: list[str], expected: set[str]) -> None:
    """One of each, and one more where there are groups."""
    assert expected <= set(values(*texts, "q/r/${group}"))


def test_some_are_not_taken() -> None:
    """Neither by users nor by groups."""
    first = values("a/${user}-x", "b/${group}")
    found = values("a/${user}-x", "b/${group}", taken=frozenset(first))
    assert len(set(found) - set(first)) >= 2


def test_three_where_a_group_is_repeated() -> None:
    """Two that are groups, and another one."""
    assert len(values("a-${group}/b-${group}", "*/${group}")) >= 3


def test_a_class_of_one_value() -> None:
    """It is complete, where no other value is left."""
    found = values("${user}/x-${user}", *(f"{text}/**" for text in [*ONLY_A, "a*"]))
    assert "a" in found


def test_a_literal_of_full_length() -> None:
    """No value is longer than a name."""
    assert max(map(len, values("${user}", "a" * 255))) == 255


def test_where_all_letters_are_named() -> None:
    """A separator is the only character that is left."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    found = values("${user}-x/b", f"{letters}-x/b")
    assert letters in found
    assert len(found) >= 2


@settings(deadline=None)
@given(st.lists(partial, min_size=1, max_size=2), st.sampled_from(WORDS))
def test_each_user_is_like_one_of_the_shortest(patterns: list[Pattern], user: str) -> None:
    """The same globs and literals match its segments, and those that are equal are equal."""
    budget = Budget()
    contexts = Contexts.of(patterns, budget)
    known = Distinctions.of(contexts)

    def kind(value: str) -> list[tuple[int, ...]]:
        return [known.matching(around, value) for around in sorted(contexts.users)]

    try:
        found = shortest_values(contexts, frozenset(), budget)
    except TooComplex:
        return
    assert all(map(is_path_component, found))
    assert kind(user) in [kind(one) for one in found]
    assert all(filled(one, value) for one in patterns for value in found[:1] if one.uses(SegmentKind.USER))


def test_a_verdict_does_not_depend_on_what_was_asked_before() -> None:
    """What is remembered costs as many steps."""
    budgets = [Budget(), Budget()]
    for budget in budgets:
        shortest_values(Contexts.of([parse_pattern("x-*${user}/q*")], Budget()), frozenset(), budget)
    assert budgets[0].left == budgets[1].left < Budget().left
