"""The texts around variables, and what else can be the same segment of a name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from partial_languages import all_readings, partial
from pattern_languages import plain

from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.variables.contexts import Contexts, widest


def contexts(*texts: str) -> Contexts:
    """Those of some patterns; `${team}` is captured."""
    captures = (Capture("r-", ""), Capture("", "-w"))
    patterns = [parse_pattern(text, "team", captures) if "team" in text else parse_pattern(text) for text in texts]
    return Contexts.of(patterns, Budget())


def test_what_is_around_variables() -> None:
    """In a segment, and in the name of a group."""
    found = contexts("a/${user}-x/${user}", "t-${group}/**", "${team}/b")
    assert found.users == {("", "-x"), ("", "")}
    assert found.groups == {(("", ""), ("t-", "")), (("r-", ""), ("", "")), (("", "-w"), ("", ""))}
    assert found.arounds == {("", "-x"), ("", ""), ("t-", "")}
    assert found.captures == {("", ""), ("r-", ""), ("", "-w")}
    assert found.group_count == 1
    assert contexts("${group}/${group}", "a/${group}", "${user}").group_count == 2
    assert contexts("${user}-x").group_count == 0


@pytest.mark.parametrize(
    ("texts", "meetings"),
    [
        pytest.param(["a/${user}-x", "a/b"], {"b"}, id="the-same-place"),
        pytest.param(["a/${user}-x", "a/b/c"], set(), id="another-length"),
        pytest.param(["a/${user}-x", "b"], set(), id="a-shorter-name"),
        pytest.param(["a/${user}-x", "c/b"], set(), id="another-prefix"),
        pytest.param(["a/${user}-x", "ab/b"], set(), id="a-prefix-of-letters"),
        pytest.param(["a/${user}-x", "*/b*"], {"b*"}, id="a-glob"),
        pytest.param(["a/${user}-x", "**/b"], {"b"}, id="after-a-tree"),
        pytest.param(["a/${user}-x", "**/b/c"], set(), id="not-at-the-end"),
        pytest.param(["**/${user}-x/**", "**/b/**"], {"b"}, id="two-trees"),
        pytest.param(["**/${user}-x/**", "a/b/c"], {"b"}, id="between-trees"),
        pytest.param(["${user}-x/a", "b:1/a"], set(), id="a-host"),
    ],
)
def test_what_can_be_the_same_segment(texts: list[str], meetings: set[str]) -> None:
    """By the literals before, and by the number of segments before and after."""
    assert {text for _, text in contexts(*texts).meetings} == meetings


def test_variables_that_can_be_the_same_segment() -> None:
    """Of two variables or two kinds of groups, or of one that a wildcard is beside."""
    assert contexts("a/${user}-x", "a/y-${group}").pairs == {(("", "-x"), ("y-", "")), (("y-", ""), ("", "-x"))}
    assert contexts("a/${user}-x", "a/${user}-x").pairs == set()
    assert contexts("a/${user}-x", "a/${group}-x").pairs == {(("", "-x"), ("", "-x"))}
    assert contexts("a/${team}").pairs == {(("", ""), ("", ""))}
    assert contexts("a/${user}-*").pairs == {(("", "-*"), ("", "-*"))}
    assert contexts("a/${user}-x", "b/y-${group}").pairs == set()


def test_widest() -> None:
    """One wildcard, also where there is one already."""
    assert [widest(around) for around in (("a-", "-b"), ("", "-*"), ("x*", ""))] == ["a-*-b", "*-*", "x*"]


@settings(deadline=None)
@given(partial, plain)
def test_a_literal_that_a_variable_is_in_a_name_meets_it(one: Pattern, other: Pattern) -> None:
    """Nothing that can be the same segment is missed."""
    if len(other.rest) or not all_readings(one, other.text):
        return
    found = Contexts.of([one, other], Budget())
    first = one.rest[0] if one.rest else None
    if first is not None and len(one.rest) == 1 and "$" in first.text:
        assert {other.text.split("/")[one.depth]} <= {text for _, text in found.meetings}


def test_too_many_segments() -> None:
    """The budget is spent."""
    patterns = [parse_pattern(f"a{number}/${{user}}-x/*") for number in range(40)]
    with pytest.raises(TooComplex):
        Contexts.of(patterns, Budget(50))
