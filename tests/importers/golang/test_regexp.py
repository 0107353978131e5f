"""Go's regular expressions: its recorded answers, Python's `re` where both agree, and bounded time."""

from __future__ import annotations

import re

import pytest
from go_questions import disagreements
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.golang import regexp
from tokenserver.importers.golang.expression import ExpressionBeyondLimits
from tokenserver.importers.golang.regexp import MAX_SUBJECT, go_expression, quote_meta


def test_go_agrees() -> None:
    """Every recorded expression: whether Go accepts it, and the groups that it finds."""
    assert disagreements("regexp") == []
    assert disagreements("quote") == []


PARTS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "^", r"\b", "(?:)"]),
    lambda inner: st.one_of(
        st.builds("(?:{}{})".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["?", "{2}", "{1,2}", "??", "{0,1}"])),
    ),
    max_leaves=6,
)


@given(PARTS, st.text("ab1 ", max_size=6))
def test_python_agrees(expression: str, subject: str) -> None:
    """Without unbounded repetitions both find the same match."""
    found = re.search(expression, subject, re.ASCII)
    groups = go_expression(expression).groups_in(subject)
    assert (groups is None) == (found is None)
    assert go_expression(expression).is_found(subject) == (found is not None)
    if found is not None and groups is not None:
        assert groups[0] == found[0]


@given(st.text(max_size=20))
def test_quoted_texts_match_themselves(text: str) -> None:
    """Whatever characters they have."""
    expression = go_expression(f"^{quote_meta(text)}$")
    assert expression.groups_in(text) == (text,)
    assert not expression.is_found(f"{text}x")


@pytest.mark.parametrize(
    "expression",
    ["(a+)+$", "(a|a)*b", "(.*)*x", "((a{0,9}){0,9}){0,2}b", "(a?){100}b", "(?:x|" * 100 + "a" + ")+" * 100],
)
def test_no_expression_is_slow(expression: str) -> None:
    """Those that take exponential time elsewhere."""
    subject = "a" * 500
    found = go_expression(expression).is_found(subject)
    assert (go_expression(expression).groups_in(subject) is not None) == found


def test_long_subjects() -> None:
    """They are not searched."""
    with pytest.raises(ExpressionBeyondLimits, match="longer than"):
        go_expression("a").is_found("b" * (MAX_SUBJECT + 1))


def test_expensive_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is counted, so that the time is bounded."""
    monkeypatch.setattr(regexp, "MAX_STEPS", 1000)
    with pytest.raises(ExpressionBeyondLimits, match="steps"):
        go_expression("(?:(?:a?){60}){16}b").groups_in("a" * 100)
    with pytest.raises(ExpressionBeyondLimits, match="steps"):
        go_expression("(?:(?:a?){60}){16}b").is_found("a" * 100)


def test_states_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgotten states are computed again."""
    monkeypatch.setattr(regexp, "_MAX_STATES", 3)
    expression = regexp.GoExpression("a.{6}b$", "")
    assert expression.is_found("aaabaabaaababb" + "a123456b")
    assert not expression.is_found("aaabaabaaababb" + "a12345b")


@pytest.mark.parametrize(
    ("expression", "subject", "expected"),
    [
        pytest.param("^ab.$", "abc", True, id="a prefix"),
        pytest.param("^ab.$", "xab", False, id="another beginning"),
        pytest.param("(?m)^ab", "x\nab", True, id="the beginning of a line"),
        pytest.param("(?i)^ab", "AB", True, id="another case"),
        pytest.param("^ab?", "a", True, id="an optional character"),
        pytest.param("^ab|c", "xc", True, id="an alternative"),
        pytest.param("^a\ufffdb", "a\udcffb", True, id="the replacement character"),
        pytest.param("^", "x", True, id="nothing else"),
        pytest.param("", "x", True, id="nothing"),
        pytest.param("^(a(?P<n>b))c", "abcd", True, id="groups"),
        pytest.param("(^ab)c", "abd", False, id="a group with the beginning"),
        pytest.param("^()ab", "ab", True, id="an empty group"),
        pytest.param("(^a|b)b", "bb", True, id="a choice of beginnings"),
    ],
)
def test_prefixes(expression: str, subject: str, expected: bool) -> None:
    """The text at the beginning of an anchored expression is compared first."""
    assert go_expression(expression).is_found(subject) is expected
    assert (go_expression(expression).groups_in(subject) is not None) is expected


def test_bytes_that_are_not_text() -> None:
    """Each is one character for Go; a submatch keeps it."""
    assert go_expression("^a(.)b$").groups_in("a\udcffb") == ("a\udcffb", "\udcff")
    assert go_expression("\ufffd").is_found("\udcff")
