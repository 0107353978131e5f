"""Patterns as languages: every answer against counting all short names, and single cases worth a name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenserver.policy.analysis.containment import contains, covered_names, escape, is_empty, overlaps
from tokenserver.policy.analysis.intersection import intersection, is_exact, with_group
from tokenserver.policy.analysis.segment_automata import shortest_hosts, shortest_words
from tokenserver.policy.patterns import Pattern, matches, parse_pattern
from tokenserver.scopes import is_path_component, is_repository_name

COMPONENTS = ("a", "b", "x", "y", "ab", "a-b", "aa", "xa")
HOSTS = ("a:1", "x:5", "a.b:12")
NAMES = [
    "/".join(name)
    for count in (1, 2, 3)
    for first in (COMPONENTS, (*COMPONENTS, *HOSTS))
    for name in product(first, *[COMPONENTS] * (count - 1))
    if is_repository_name("/".join(name))
]

ONLY_A = [f"a{character}*" for character in "abcdefghijklmnopqrstuvwxyz0123456789._-"]
"""Beside `a*`, these leave no other word than `a` in a class."""

segments = st.sampled_from(["a", "b", "ab", "a-b", "*", "a*", "*a", "*b*", "a*b", "**"])
variables = st.sampled_from(["a", "*", "**", "a*", "${user}", "${group}"])
firsts = st.sampled_from(["a", "*", "a*", "**", "a:1", "a*:*", "*:5"])


def spelled(first: st.SearchStrategy[str], rest: st.SearchStrategy[str]) -> st.SearchStrategy[Pattern]:
    parts = st.tuples(first, st.lists(rest, max_size=3)).filter(lambda made: made[1] or ":" not in made[0])
    return parts.map(lambda made: parse_pattern("/".join([made[0], *made[1]])))


plain = spelled(firsts | segments, segments)
with_variables = spelled(variables, variables)


def covers(pattern: Pattern, name: str, user: str | None = None, group: str | None = None) -> bool:
    return matches(pattern, name.split("/"), user, () if group is None else (group,))


def readings(pattern: Pattern, name: str) -> Iterator[tuple[str, str]]:
    """The users and groups for which the pattern covers the name; a variable it does not have is left alone."""
    words = sorted(set(filter(is_path_component, name.split("/"))))
    for user in words if "${user}" in pattern.text else [""]:
        for group in words if "${group}" in pattern.text else [""]:
            if covers(pattern, name, user, group):
                yield user, group


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


@settings(deadline=None)
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


@settings(deadline=None)  # a busy machine is no failure
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


# One example counts thousands of names, so that thousands of them are a night's work.
@settings(deadline=None, max_examples=min(settings().max_examples, 5_000))
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
        pytest.param("a*/x", "*/**", ["a*/x"], id="narrower-glob"),
        pytest.param("users/${user}/*", "users/ann/**", ["users/ann/*"], id="variable-and-name"),
        pytest.param("users/*/x", "users/${user}/x", ["users/${user}/x"], id="variable-and-glob"),
        pytest.param("a*", "*b", ["a*"], id="globs-side-by-side"),
    ],
)
def test_intersection(one: str, other: str, common: list[str]) -> None:
    """What two patterns have in common, as patterns."""
    assert [made.text for made in intersection(parse_pattern(one), parse_pattern(other))] == common


def test_a_group_is_filled_in() -> None:
    """The pattern is what it would be had it been written so."""
    assert with_group(parse_pattern("teams/${group}/**"), "web") == parse_pattern("teams/web/**")


@settings(deadline=None)
@given(st.lists(with_variables | plain, min_size=1, max_size=3), st.sampled_from(NAMES), st.sampled_from(COMPONENTS))
def test_covered_names_have_every_way_in_which_patterns_cover_a_name(
    patterns: list[Pattern], name: str, user: str
) -> None:
    """For any patterns that cover a name for a user in a group, some result is covered by exactly those."""
    group = "b"
    wanted = {place for place, one in enumerate(patterns) if covers(one, name, user, group)}
    met = [
        {match.place - 1 for match in covered.others if match.user in ("", who) and match.group in ("", team)}
        for covered in covered_names([parse_pattern("**")], patterns)
        for who in {match.user for match in covered.others} | {""}
        for team in {match.group for match in covered.others} | {""}
    ]
    assert wanted in met


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


def test_words_for_every_class() -> None:
    """Each way to be told apart has its shortest word, and as many more as are asked that nobody has taken."""
    assert sorted(shortest_words(["a*", "*b"])) == [["a"], ["ab"], ["b"], ["x"]]
    assert sorted(shortest_words(["a*"], {"a", "x"})) == [["a", "ax"], ["x", "y"]]
    assert sorted(shortest_words(["a*"], (), 2)) == [["a", "ax"], ["x", "y"]]


def test_a_small_class_is_there_as_a_whole() -> None:
    """What begins with a, but not with two characters, is a alone, however many words are asked."""
    assert ["a"] in shortest_words(["a*", *ONLY_A], {"a"}, 3)


def test_words_are_no_longer_than_names() -> None:
    """Whatever a glob would take."""
    found = shortest_words(["a" * 254 + "*", "b.*"])
    assert max(len(word) for words in found for word in words) == 254


def test_hosts_have_a_port() -> None:
    """A host comes with one to five digits of a port."""
    assert sorted(shortest_hosts(["a*", "*:5*"])) == ["a:0", "a:5", "x:0", "x:5"]
