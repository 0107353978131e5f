"""Patterns of the ACL: what they are, and why docker_auth does not start with one. Matches are recorded answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.docker_auth.patterns import (
    expression_in,
    field_matches,
    is_dead_glob,
    pattern_problem,
    request_pairs,
    submatch_pairs,
    text_matches,
)

FIELDS = {"account": "ann", "type": "repository", "name": "a/b", "service": "reg"}


@pytest.mark.parametrize(
    ("pattern", "expression", "is_dead", "problem"),
    [
        pytest.param("a/*", None, False, None, id="a glob"),
        pytest.param("/a/", "a", False, None, id="an expression"),
        pytest.param("//", None, False, None, id="two slashes"),
        pytest.param("/home/x/", "home/x", False, None, id="a path between slashes"),
        pytest.param("[a", None, True, None, id="a malformed glob"),
        pytest.param("/[a/", "[a", False, "a bracket is not closed", id="an invalid expression"),
        pytest.param("/(a)\\1/", "(a)\\1", False, "it has an escape that Go does not know", id="a backreference"),
    ],
)
def test_kinds(pattern: str, expression: str | None, is_dead: bool, problem: str | None) -> None:
    """A glob or an expression, and what is wrong with it."""
    assert expression_in(pattern) == expression
    assert is_dead_glob(pattern) is is_dead
    found = pattern_problem(pattern)
    assert found is None if problem is None else problem in (found or "")


@pytest.mark.parametrize(
    ("account", "name", "expected"),
    [
        pytest.param("/^(a)(n)/", "${account:2}", (("${account:2}", "n"),), id="a submatch"),
        pytest.param("/^(a)(n)/", "${Account:1}", (("${Account:1}", "a"),), id="with a capital letter"),
        pytest.param("/^(a)(n)/", "${ACCOUNT:1}", (), id="in capitals"),
        pytest.param("/^(a)(n)/", "${account:3}", (), id="no such group"),
        pytest.param("/^(a)(n)/", "${account:0}", (), id="the whole match"),
        pytest.param("/^(a)(n)/", "${account:00000000000000001}", (("${account:00000000000000001}", "a"),), id="zeros"),
        pytest.param("/^(a)(n)/", "${account:99999999999999999}", (), id="a very large number"),
        pytest.param("/^(b)/", "${account:1}", (), id="no match"),
        pytest.param("/^(a/", "${account:1}", (), id="an invalid expression"),
        pytest.param("ann", "${account:1}", (), id="a glob"),
        pytest.param("//", "${account:1}", (), id="an empty expression"),
        pytest.param(None, "${account:1}", (), id="no pattern"),
        pytest.param("/^(a)/", "${account}/${account:1}", (), id="hidden behind another placeholder"),
        pytest.param("/^(a)/", "${labels:1}", (), id="a label"),
        pytest.param("/^(a)/", "${\u017fervice:1}", (), id="a long s, whose capital is S, and no expression there"),
    ],
)
def test_submatches(account: str | None, name: str, expected: tuple[tuple[str, str], ...]) -> None:
    """The placeholders that are replaced, and by what."""
    patterns = {"account": account, "type": None, "name": name, "service": None}
    assert submatch_pairs(patterns, FIELDS) == expected


def test_replacement_is_not_repeated() -> None:
    """What is put in is not looked at again, and the first of two equal placeholders wins."""
    pairs = (("${a}", "${b}"), ("${b}", "c"), ("${a}", "d"))
    assert text_matches("${a}", "${b}", pairs)
    assert not text_matches("${a}", "c", pairs)
    assert not text_matches("${a}", "d", pairs)


@given(st.text(max_size=10))
def test_own_fields_are_quoted(text: str) -> None:
    """In a glob and in an expression, a field matches itself alone."""
    pairs = request_pairs({**FIELDS, "account": text})
    assert text_matches("x${account}", f"x{text}", pairs)
    assert text_matches("/^x${account}$/", f"x{text}", pairs)
    assert not text_matches("x${account}", f"x{text}y", pairs)
    assert not text_matches("/^x${account}$/", f"x{text}y", pairs)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        pytest.param(None, "x", True, id="no pattern"),
        pytest.param("${labels:g}", "b", True, id="any value"),
        pytest.param("${labels:g}", "${labels:g}", True, id="itself, unreplaced"),
        pytest.param("${labels:none}${labels:g}", "a", False, id="a label without values"),
        pytest.param("${labels:g}${labels:g}", "ab", False, id="the same value twice"),
        pytest.param("${labels:g}${labels:h}", "bx", True, id="two labels"),
        pytest.param("${labels:other}", "a", False, id="an absent label"),
        pytest.param("/${labels:bad}/", "a", False, id="a value that makes the expression invalid"),
    ],
)
def test_labels(pattern: str | None, subject: str, expected: bool) -> None:
    """Values of labels are put in as they are."""
    labels = {"g": ("a", "b"), "h": ("x",), "none": (), "bad": ("(",)}
    assert field_matches(pattern, subject, (), labels) is expected
