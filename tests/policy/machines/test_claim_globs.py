"""Globs over the values of claims: what they accept, which are refused, and which of them accept more than others."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.machines.claim_globs import (
    MAX_MANY,
    MAX_VALUE,
    MAX_WILDCARDS,
    ClaimError,
    accepts,
    is_accepted,
    is_any,
    is_literal,
    parse_claim_glob,
)


@pytest.mark.parametrize(
    ("glob", "value", "expected"),
    [
        pytest.param("production", "production", True, id="itself"),
        pytest.param("production", "Production", False, id="case matters"),
        pytest.param("production", "production-2", False, id="from end to end"),
        pytest.param("refs/heads/*", "refs/heads/main", True, id="one segment"),
        pytest.param("refs/heads/*", "refs/heads/fix/1", False, id="not two"),
        pytest.param("refs/heads/**", "refs/heads/fix/1", True, id="several segments"),
        pytest.param("refs/heads/**", "refs/heads", False, id="at least one segment"),
        pytest.param("refs/tags/v*", "refs/tags/v1.2", True, id="a part of a segment"),
        pytest.param("refs/*/main", "refs/heads/main", True, id="in the middle"),
        pytest.param("*", "a b, \u00e4?", True, id="any printable characters"),
        pytest.param("*", "", False, id="a segment alone is not empty"),
        pytest.param("**", "", True, id="segments may be empty"),
        pytest.param("spiffe://example.com/**", "spiffe://example.com/ns/web", True, id="an empty segment"),
        pytest.param("a*b*c", "a1b2c", True, id="several stars"),
        pytest.param("a.c", "abc", False, id="no regular expression"),
    ],
)
def test_accepts(glob: str, value: str, expected: bool) -> None:
    """The globs of repository patterns, for any printable text."""
    assert accepts([parse_claim_glob("other"), parse_claim_glob(glob)], value) is expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "has 1 to 1024 printable characters", id="empty"),
        pytest.param("x" * (MAX_VALUE + 1), "has 1 to 1024 printable characters", id="long"),
        pytest.param("a\nb", "has 1 to 1024 printable characters", id="control character"),
        pytest.param("repo/${user}", "have no variables; fix: write * in their place", id="variable"),
        pytest.param("a**", "** must be a whole segment, between slashes; fix: use * inside a segment", id="two stars"),
        pytest.param("a/***/b", "** must be a whole segment", id="three stars"),
        pytest.param("*a" * (MAX_WILDCARDS + 1), "has more than 16 wildcards", id="wildcards"),
        pytest.param("/".join(["**"] * (MAX_MANY + 1)), "has more than 3 segments **", id="segments"),
    ],
)
def test_refused(text: str, complaint: str) -> None:
    """What nothing could match, and what takes long to match."""
    with pytest.raises(ClaimError) as caught:
        parse_claim_glob(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "literal", "any_value"),
    [
        pytest.param("main", True, False, id="literal"),
        pytest.param("refs/heads/*", False, False, id="glob"),
        pytest.param("*", False, True, id="star"),
        pytest.param("**", False, True, id="two stars"),
        pytest.param("*/**", False, True, id="only wildcards"),
        pytest.param("*-*", False, False, id="a dash between"),
    ],
)
def test_kinds_of_globs(text: str, literal: bool, any_value: bool) -> None:
    """One value, or values of which nothing is known."""
    assert (is_literal(parse_claim_glob(text)), is_any(parse_claim_glob(text))) == (literal, any_value)


@pytest.mark.parametrize(
    ("glob", "wider", "expected"),
    [
        pytest.param("main", ["main"], True, id="itself"),
        pytest.param("main", ["m*", "x"], True, id="a literal in a glob"),
        pytest.param("main", ["x*"], False, id="a literal outside"),
        pytest.param("m*n", ["m*"], True, id="a glob in a glob"),
        pytest.param("m*", ["m*n"], False, id="a wider one"),
        pytest.param("m*", ["m", "ma*"], False, id="not even together"),
        pytest.param("refs/**", ["refs/*"], False, id="more segments"),
        pytest.param("refs/*/x", ["refs/**"], True, id="fewer segments"),
        pytest.param("**/**", ["*/**"], False, id="empty segments"),
        pytest.param("**", ["*", "*/**"], False, id="only together"),
        pytest.param("main", [], False, id="nothing"),
    ],
)
def test_is_accepted(glob: str, wider: list[str], expected: bool) -> None:
    """Whether one of the others is for every value of a glob."""
    assert is_accepted(parse_claim_glob(glob), map(parse_claim_glob, wider)) is expected


SEGMENTS = ["", "a", "b", "aa", "ab", "ba"]
VALUES = ["/".join(value) for length in range(1, 5) for value in product(SEGMENTS, repeat=length)]
PIECES = st.sampled_from(["a", "b", "*", "a*", "*b", "a*a", "**", "**", "*a*", ""])
GLOBS = (
    st.lists(PIECES, min_size=1, max_size=4).map("/".join).filter(lambda text: len(text) > 0 and text.count("**") <= 3)
)


def expression(glob: str) -> re.Pattern[str]:
    """The glob as a regular expression, written independently of the code."""
    parts = []
    for part in glob.split("/"):
        if part == "**":
            parts.append("[^/]*(?:/[^/]*)*")
        elif "*" in part:
            parts.append("(?=[^/])" + "[^/]*".join(map(re.escape, part.split("*"))))
        else:
            parts.append(re.escape(part))
    return re.compile("/".join(parts))


@given(GLOBS)
def test_a_glob_is_a_regular_expression(glob: str) -> None:
    """For every value of up to four short segments."""
    parsed, expected = parse_claim_glob(glob), expression(glob)
    assert [value for value in VALUES if accepts([parsed], value)] == [
        value for value in VALUES if expected.fullmatch(value)
    ]


@given(GLOBS, st.lists(GLOBS, min_size=1, max_size=3))
def test_is_accepted_agrees_with_trying_values(glob: str, wider: list[str]) -> None:
    """What is accepted has no value outside; what is not has one outside of each of the others."""
    narrow = {value for value in VALUES if expression(glob).fullmatch(value)}
    beyond = [{value for value in narrow if not expression(one).fullmatch(value)} for one in wider]
    if is_accepted(parse_claim_glob(glob), map(parse_claim_glob, wider)):
        assert set() in beyond
    else:
        # Another letter shows what the short values do not: that `*` is more than these.
        further = {value.replace("b", "c") for value in narrow} | {f"{value}/c/c/c" for value in narrow} | narrow
        further |= {glob.replace("**", "c").replace("*", "c"), glob.replace("**", "c/c/c/c/c").replace("*", "c")}
        within = {value for value in further if expression(glob).fullmatch(value)}
        assert all(any(not expression(one).fullmatch(value) for value in within) for one in wider)
