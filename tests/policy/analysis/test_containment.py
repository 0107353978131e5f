"""Patterns as languages: every answer against counting all short names, and single cases worth a name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_languages import NAMES, ONLY_A, covers, plain, readings, with_variables
from slow_properties import slow_examples

from tokenserver.patterns import Pattern, parse_pattern
from tokenserver.policy.analysis.containment import contains, escape, is_empty, overlaps
from tokenserver.scopes import is_repository_name


@settings(deadline=None)
@given(st.lists(plain, max_size=3), plain)
def test_containment_agrees_with_counting(outer: list[Pattern], inner: Pattern) -> None:
    """A name that escapes is one indeed, and the shortest; where none is found there is none among all short ones."""
    escaping = [name for name in NAMES if covers(inner, name) and not any(covers(one, name) for one in outer)]
    found = escape(outer, inner)
    assert contains(outer, inner) == (found is None)
    if found is None:
        assert escaping == []
    else:
        assert covers(inner, found)
        assert not any(covers(one, found) for one in outer)
        assert is_repository_name(found)
        assert len(found) <= min(map(len, escaping), default=len(found))


@slow_examples()
@given(st.lists(with_variables, max_size=3), with_variables)
def test_containment_holds_for_every_user_and_group(outer: list[Pattern], inner: Pattern) -> None:
    """A variable stands for anybody in the inner pattern, and for the same one in the outer ones."""
    escaping = [
        (name, user, group)
        for name in NAMES
        for user, group in readings(inner, name)
        if not any(covers(one, name, user or None, group or None) for one in outer)
    ]
    found = escape(outer, inner)
    if found is None:
        assert escaping == []
    else:
        assert any(
            not any(covers(one, found, user or None, group or None) for one in outer)
            for user, group in readings(inner, found)
        )


@slow_examples()
@given(plain | with_variables, plain | with_variables)
def test_overlap_agrees_with_counting(one: Pattern, other: Pattern) -> None:
    """The witness lies in both, for some user and some group each; without one, no short name does."""
    both = [name for name in NAMES if any(readings(one, name)) and any(readings(other, name))]
    found = overlaps(one, other)
    if found is None:
        assert both == []
    else:
        assert any(readings(one, found))
        assert any(readings(other, found))
        assert is_repository_name(found)


@pytest.mark.parametrize(
    ("outer", "inner", "witness"),
    [
        pytest.param(["web/**"], "web/x", None, id="below"),
        pytest.param(["web/a*"], "web/a*", None, id="the-same"),
        pytest.param(["a/${group}/${group}"], "a/${group}/${group}", None, id="the-same-with-a-group"),
        pytest.param(["web/**"], "web", "web", id="root-itself"),
        pytest.param(["web/**"], "web/**/x", None, id="below-with-tree"),
        pytest.param(["web/*", "web/*/**"], "web/**", None, id="two-make-a-tree"),
        pytest.param(["*/**", "*"], "**", None, id="everything"),
        pytest.param(["web/**"], "webs/x", "webs/x", id="no-whole-segment"),
        pytest.param(["a*", "*a"], "*", "x", id="globs"),
        pytest.param(["a*"], "a*b", None, id="glob-in-glob"),
        pytest.param(["*.*/**"], "a.b:50*/**", None, id="hosts"),
        pytest.param(["x/**"], "*:5/x", "x:5/x", id="a-host-is-another-segment"),
        pytest.param(["users/${user}/**"], "users/ann/**", "users/ann/x", id="variable-is-not-one-name"),
        pytest.param(["users/*/**"], "users/${user}/**", None, id="any-name-covers-a-variable"),
        pytest.param(["users/${user}/**"], "users/${user}/*/x", None, id="same-variable"),
        pytest.param(["users/${group}/*"], "users/${user}/*", "users/y/x", id="other-variable"),
        pytest.param(["a/${user}/*"], "a/${user}/${user}", None, id="repeated-inside"),
        pytest.param(["a/${user}/${user}"], "a/${user}/*", "a/y/x", id="repeated-outside"),
        pytest.param(["a/${group}/${group}"], "a/${group}/*", "a/y/x", id="repeated-group"),
        pytest.param(["*/**"], "${user}/**", None, id="a-variable-first"),
        pytest.param([], "a/b", "a/b", id="nothing-covers"),
        pytest.param([*ONLY_A, "a/x"], "a*/${user}", "a/1", id="a-class-of-one-word"),
        pytest.param(
            ["**/${user}/**", "**/${group}/**"], "**/${user}/**/${group}/a/b/c/d/**", None, id="many-readings"
        ),
    ],
)
def test_containment(outer: list[str], inner: str, witness: str | None) -> None:
    """The witness is the shortest name that escapes."""
    patterns, found = [parse_pattern(one) for one in outer], escape(map(parse_pattern, outer), parse_pattern(inner))
    assert (found is None) == (witness is None)
    if found is not None and witness is not None:  # which of the shortest names it is does not matter
        assert len(found) == len(witness)
        assert any(
            not any(covers(one, found, user or None, group or None) for one in patterns)
            for user, group in readings(parse_pattern(inner), found)
        )


@pytest.mark.parametrize(
    ("one", "other", "witness"),
    [
        pytest.param("web/**", "**/prod", "web/prod", id="trees"),
        pytest.param("*-b/x", "a-*/*", "a-b/x", id="globs"),
        pytest.param("web/**", "infra/**", None, id="apart"),
        pytest.param("**", "a" * 120 + "*/" + "b" * 120, "a" * 120 + "/" + "b" * 120, id="long"),
        pytest.param("a" * 130 + "*/**", "**/" + "b" * 130, None, id="too-long-together"),
        pytest.param("*:5/x", "a*/*", "a:5/x", id="host"),
    ],
)
def test_overlap(one: str, other: str, witness: str | None) -> None:
    """The witness is the shortest name that both cover."""
    assert overlaps(parse_pattern(one), parse_pattern(other)) == witness


def test_emptiness() -> None:
    """A pattern of legal length can still name nothing: the port has no room for a sixth digit."""
    assert [is_empty(parse_pattern(text)) for text in ("**", "a:1/x", "a:123456*/x")] == [False, False, True]
