"""Variables inside segments and captures: every answer against trying all short names, users and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import NAMES, all_readings, partial, tried
from pattern_languages import covers
from slow_properties import slow_examples

from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.analysis.containment import (
    CoveredName,
    Match,
    contains,
    covered_name,
    covered_names,
    escape,
    escape_from,
    overlaps,
)
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.variables.segment_automata import DIGITS, LETTERS
from tokenserver.scopes import is_repository_name


def escapes_for(name: str, inner: list[Pattern], outer: list[Pattern]) -> bool:
    """Whether all of `inner` and none of `outer` cover the name for one user and one group."""
    read = [all_readings(one, name) for one in inner]
    return any(
        all(any(who in ("", user) and team in ("", group) for who, team in found) for found in read)
        and not any(covers(one, name, user or None, group or None) for one in outer)
        for user in {who for found in read for who, _ in found if who} or {""}
        for group in {team for found in read for _, team in found if team} or {""}
    )


@settings(deadline=None)
@given(st.lists(partial, max_size=3), st.lists(partial, min_size=1, max_size=2))
def test_an_escape_agrees_with_trying(outer: list[Pattern], inner: list[Pattern]) -> None:
    """A name that is found escapes for somebody; where none is found, no short name does."""
    try:
        found = escape_from(outer, inner)
    except TooComplex:
        return
    if found is None:
        assert [name for name in NAMES if escapes_for(name, inner, outer)] == []
    else:
        assert is_repository_name(found)
        assert escapes_for(found, inner, outer)


@settings(deadline=None)
@given(st.lists(partial, max_size=3), partial)
def test_containment_agrees_with_trying(outer: list[Pattern], inner: Pattern) -> None:
    """Both ways to ask agree."""
    try:
        found = escape(outer, inner)
    except TooComplex:
        return
    assert contains(outer, inner) == (found is None)
    if found is None:
        assert [name for name in NAMES if escapes_for(name, [inner], outer)] == []
    else:
        assert escapes_for(found, [inner], outer)


@slow_examples()
@given(partial, partial)
def test_overlap_agrees_with_trying(one: Pattern, other: Pattern) -> None:
    """The name lies in both, for a client each; without one, no short name does."""
    try:
        found = overlaps(one, other)
    except TooComplex:
        return
    if found is None:
        assert [name for name in NAMES if all_readings(one, name) and all_readings(other, name)] == []
    else:
        assert all_readings(one, found)
        assert all_readings(other, found)


@settings(deadline=None)
@given(partial, st.sampled_from(NAMES))
def test_what_these_tests_read_agrees_with_trying(pattern: Pattern, name: str) -> None:
    """Every user and every group for which the pattern covers the name."""
    assert all_readings(pattern, name) == {*tried(pattern, name)}


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[Pattern], list[Pattern], str, str, frozenset[str]]:
    """Patterns, others, a name that the first ones cover, and a client for whom some of them do."""
    required = draw(st.lists(partial, min_size=1, max_size=2))
    others = draw(st.lists(partial, max_size=3))
    names = [name for name in NAMES if all(all_readings(one, name) for one in required)]
    name = draw(st.sampled_from(names or ["a"]))
    read = sorted({found for one in (*required, *others) for found in all_readings(one, name)})
    user = draw(st.sampled_from(sorted({who for who, _ in read} | {"b"}))) or "b"
    groups = draw(st.frozensets(st.sampled_from(sorted({team for _, team in read if team} | {"b"})), max_size=3))
    return required, others, name, user, groups


@settings(deadline=None)
@given(asked(), st.booleans())
def test_covered_names_have_every_way(
    case: tuple[list[Pattern], list[Pattern], str, str, frozenset[str]], is_named: bool
) -> None:
    """For any client and name, some result is covered in the same way for a client of its own, or the same by name."""
    required, others, name, user, groups = case
    patterns = [*required, *others]

    def way(name: str, user: str, groups: frozenset[str]) -> frozenset[tuple[int, str]]:
        """The patterns that cover the name, by name with the groups for which they do."""
        return frozenset(
            (place, group if is_named else "")
            for place, one in enumerate(patterns)
            for who, group in all_readings(one, name)
            if who in ("", user) and (not group or group in groups)
        )

    wanted = way(name, user, groups)
    if not {place for place, _ in wanted} >= set(range(len(required))):
        return
    named = (user, *groups) if is_named else ()
    try:
        found = [*covered_names(required, others, named)]
    except TooComplex:
        return
    assert [len(one.name) for one in found] == sorted(len(one.name) for one in found)
    for one in found:
        assert is_repository_name(one.name)
        assert {match.place for match in one.required} == set(range(len(required)))
        assert one.required | one.others == {
            Match(place, *pair) for place, pattern in enumerate(patterns) for pair in all_readings(pattern, one.name)
        }
    assert any(wanted in ways(one, user, groups, way, is_named=is_named) for one in found)


def ways(
    found: CoveredName,
    user: str,
    groups: frozenset[str],
    way: Callable[[str, str, frozenset[str]], frozenset[tuple[int, str]]],
    *,
    is_named: bool,
) -> Iterator[frozenset[tuple[int, str]]]:
    """How a name that was found is covered: for the client itself, or for any with at most three groups."""
    if is_named:
        yield way(found.name, user, groups)
        return
    matched = found.required | found.others
    teams = sorted({match.group for match in matched if match.group})
    for who in {match.user for match in matched} | {""}:
        for count in range(4):
            for chosen in combinations(teams, count):
                yield way(found.name, who, frozenset(chosen))


ALL = [one for one in LETTERS + DIGITS if one != "x"]
CAPTURES = (Capture("reg-", "-rw"), Capture("admin-", ""))


def parsed(text: str) -> Pattern:
    """A pattern, with `${team}` captured by two kinds of groups."""
    return parse_pattern(text, "team", CAPTURES) if "${team}" in text else parse_pattern(text)


@pytest.mark.parametrize(
    ("outer", "inner", "escapes"),
    [
        pytest.param(["web/**"], "web/${user}-x", False, id="tree"),
        pytest.param(["web/x-*"], "web/x-${user}", False, id="glob"),
        pytest.param(["web/x-*"], "web/y-${user}", True, id="glob-apart"),
        pytest.param(["web/x-${user}"], "web/x-${user}", False, id="the-same"),
        pytest.param(["web/x-${user}"], "web/x-${group}", True, id="another-variable"),
        pytest.param(["${team}/**"], "${team}/x", False, id="the-same-capture"),
        pytest.param(["${group}/**"], "${team}/x", True, id="the-name-is-not-the-part"),
        pytest.param(["${user}-*/**"], "${user}-x/**", False, id="a-narrower-part"),
        pytest.param(["${user}-x/**"], "${user}-*/**", True, id="a-wider-part"),
        pytest.param(["*-x/${user}"], "${user}-x/${user}", False, id="twice"),
        pytest.param(["${user}-x/${user}"], "${user}-x/*", True, id="once"),
        pytest.param(["a/${user}a"], "a/a${user}", True, id="rotated"),
        pytest.param(["a/${user}a"], "a/aaa${user}", True, id="rotated-longer"),
        pytest.param(["a/x*", *(f"a/{one}*" for one in ALL)], "a/y${user}", False, id="all"),
        pytest.param([*(f"a/y{one}*" for one in ALL)], "a/y${user}", True, id="one-left"),
        pytest.param(
            [
                *(f"a/y{one}*" for one in ALL),
                *(f"a/yx{one}*" for one in f"{LETTERS}{DIGITS}._-"),
            ],
            "a/y${user}/*",
            True,
            id="one-value-left",
        ),
    ],
)
def test_escapes(outer: list[str], inner: str, *, escapes: bool) -> None:
    """Whether a name of the inner pattern is none of the outer ones."""
    found = escape([*map(parsed, outer)], parsed(inner))
    assert (found is not None) is escapes
    assert found is None or escapes_for(found, [parsed(inner)], [*map(parsed, outer)])


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a/${user}-x", "a/y-${user}", True),
        ("a/${user}-x", "a/b-y", False),
        ("a/${user}-x/${user}", "a/b-x/c", False),
        ("a/${user}-x/${user}", "a/b-x/b", True),
        ("${team}/x", "web/*", True),
        ("${user}-a/a-b", "${group}-*/${group}-*", True),
        ("${team}/${team}", "${user}-x/${user}-y", False),
        ("${team}/${team}", "${user}-x/${group}-x", True),
    ],
)
def test_overlaps(one: str, other: str, *, overlap: bool) -> None:
    """Each for a client of its own."""
    found = overlaps(parsed(one), parsed(other))
    assert (found is not None) is overlap
    assert found is None or (all_readings(parsed(one), found) and all_readings(parsed(other), found))


def test_names_of_a_capture() -> None:
    """Both kinds of groups give the value, and all patterns are read for it."""
    found = [*covered_names([parsed("shared/${team}-*")], [parsed("shared/web-*"), parsed("**")], ["reg-web-rw"])]
    web = next(one for one in found if Match(0, "", "reg-web-rw") in one.required)
    assert Match(0, "", "admin-web") in web.required
    assert web.others == {Match(1), Match(2)}
    assert any(one.others == {Match(2)} for one in found)


def test_one_user_for_all_required_patterns() -> None:
    """A name that two users have together is none of one client."""
    required = [parsed("${user}-x/*"), parsed("*/${user}-y")]
    found = [*covered_names(required, [parsed("ann-x/*"), parsed("*/bob-y")])]
    assert {len(one.others) for one in found} == {0, 1}
    for one in found:
        first, second = one.name.split("/")
        assert first[:-2] == second[:-2]


def test_a_given_name() -> None:
    """Without a search, each reading of it."""
    found = covered_name("shared/web-x", [parsed("shared/${team}-*"), parsed("a/b"), parsed("**")], 1)
    captured = {Match(1, "", group) for group in ("reg-web-rw", "admin-web")}
    assert (found.name, found.required) == ("shared/web-x", frozenset())
    assert found.others == captured | {Match(3)}


def test_too_many_values() -> None:
    """Neither yes nor no, and what to do."""
    many = [parsed(f"*{one}-${{user}}/{one}${{team}}-*/**") for one in "abcdefgh"]
    questions: list[Callable[[], object]] = [
        lambda: list(covered_names([parsed("**")], many, budget=Budget(5_000))),
        lambda: escape_from(many[1:], [many[0], parsed("*a-*/**")], Budget(2_000)),
        lambda: overlaps(parsed("${user}-x/${user}"), parsed("${group}-y-x/${group}"), Budget(100)),
    ]
    for question in questions:
        with pytest.raises(TooComplex, match="fix: begin patterns with literal segments"):
            question()


def test_the_cost_of_common_questions() -> None:
    """A few patterns take a few thousand steps, and hundreds of delegated namespaces none."""
    teams = [parsed(text) for text in ("shared/${team}-*", "${team}/**", "${user}/**", "shared/web-*")]
    assert len([*covered_names(teams[:1], teams[1:], budget=Budget(10_000))]) >= 3
    outer = [parsed(f"shared{number}/**") for number in range(300)]
    assert escape(outer, parsed("shared/${team}-*"), Budget(1_000)) is not None
    assert escape([*outer, parsed("shared/**")], parsed("shared/${team}-*"), Budget(1_000)) is None
    assert escape(teams, parsed("shared/${team}-x/**"), Budget(20_000)) is not None
