"""Patterns: what they match, what they must never match, and what is refused when they are parsed."""

from __future__ import annotations

import re
import time

import pytest
import variable_patterns as world
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.patterns import (
    MAX_GLOBS,
    Capture,
    Pattern,
    PatternError,
    SegmentKind,
    matches,
    parse_name,
    parse_pattern,
)
from tokenserver.scopes import is_path_component


def covers(pattern: str, name: str, user: str | None = None, *groups: str) -> bool:
    return matches(parse_pattern(pattern), name.split("/"), user, frozenset(groups))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param("web", "web", True, id="literal"),
        pytest.param("web", "web/a", False, id="literal-is-anchored-at-the-end"),
        pytest.param("team", "evil-team-x", False, id="literal-is-anchored-at-both-ends"),
        pytest.param("web/site", "web/site", True, id="literal-two-segments"),
        pytest.param("web/site", "x/web/site", False, id="literal-is-anchored-at-the-start"),
        pytest.param("team/*", "team/a", True, id="star-one-segment"),
        pytest.param("team/*", "team/a/b", False, id="star-never-crosses-a-slash"),
        pytest.param("team/*", "team/", False, id="star-alone-is-not-empty"),
        pytest.param("team/*", "team", False, id="star-needs-its-segment"),
        pytest.param("team", "team\n", False, id="no-newline-at-the-end"),
        pytest.param("*", "", False, id="star-alone-is-not-empty-at-the-top"),
        pytest.param("app-*", "app-", True, id="star-inside-is-also-none"),
        pytest.param("app-*", "app", False, id="star-inside-keeps-its-literal"),
        pytest.param("app-*-x", "app-1-x", True, id="star-between"),
        pytest.param("app-*-x", "app-x", False, id="star-between-does-not-share-a-character"),
        pytest.param("a*a", "a", False, id="ends-do-not-overlap"),
        pytest.param("a*b*c", "a1b2c", True, id="several-stars"),
        pytest.param("a*b*c", "a1c2c", False, id="several-stars-in-order"),
        pytest.param("*ab*ab", "xab", False, id="pieces-do-not-overlap"),
        pytest.param("*a*a*", "xay", False, id="one-character-is-not-found-twice"),
        pytest.param("*a*a*", "xaay", True, id="twice-side-by-side"),
        pytest.param("*a*a*", "a-a", True, id="twice-apart"),
        pytest.param("a*a*a", "aa", False, id="ends-leave-nothing-between"),
        pytest.param("a*a*a", "aaa", True, id="three-times"),
        pytest.param("*aa*aa*", "aaa", False, id="long-pieces-do-not-overlap"),
        pytest.param("*aa*aa*", "xaaaay", True, id="long-pieces-side-by-side"),
        pytest.param("*ab*ba*", "aba", False, id="pieces-do-not-share-a-character"),
        pytest.param("*ab*ba*", "abba", True, id="pieces-touch"),
        pytest.param("a*bc*c", "abc", False, id="the-last-piece-is-its-own"),
        pytest.param("a*bc*c", "abcc", True, id="the-last-piece-touches"),
        pytest.param("a*b*b", "ab", False, id="the-end-is-not-found-before"),
        pytest.param("web/**", "web", False, id="many-is-not-none"),
        pytest.param("web/**", "web/a", True, id="many-is-one"),
        pytest.param("web/**", "web/a/b/c", True, id="many-is-more"),
        pytest.param("web/**", "webx/a", False, id="many-keeps-whole-segments"),
        pytest.param("**", "a", True, id="everything"),
        pytest.param("**/base", "base", False, id="leading-many-is-not-none"),
        pytest.param("**/base", "a/b/base", True, id="leading-many"),
        pytest.param("a/**/z", "a/z", False, id="inner-many-is-not-none"),
        pytest.param("a/**/z", "a/b/z/z", True, id="inner-many-takes-a-look-alike"),
        pytest.param("a/**/z", "a/b/z/y", False, id="inner-many-is-anchored"),
        pytest.param("**/**", "a", False, id="two-many-are-two-at-least"),
        pytest.param("**/**", "a/b", True, id="two-many"),
        pytest.param("**/a/**/b", "x/a/a/y/b", True, id="many-with-going-back"),
        pytest.param("**/a/b", "a/a/b", True, id="many-retries-its-tail"),
        pytest.param("localhost:5000/web/*", "localhost:5000/web/a", True, id="host-and-port"),
        pytest.param("localhost:5000/web/*", "web/a", False, id="host-and-port-is-no-decoration"),
        pytest.param("*:5000/web", "localhost:5000/web", True, id="host-glob"),
    ],
)
def test_pattern_covers(pattern: str, name: str, expected: bool) -> None:
    """A pattern covers the whole name, `*` inside a segment, `**` one or more whole segments."""
    assert covers(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "user", "groups", "expected"),
    [
        pytest.param("users/${user}/**", "users/ann/x", "ann", (), True, id="own"),
        pytest.param("users/${user}/**", "users/bob/x", "ann", (), False, id="foreign"),
        pytest.param("users/${user}/**", "users/ann", "ann", (), False, id="not-the-namespace-itself"),
        pytest.param("users/${user}", "users/ann", None, (), False, id="anonymous-has-no-name"),
        pytest.param("users/${user}", "users/ann", "Ann", (), False, id="case-is-not-folded"),
        pytest.param("${user}/x", "host:5000/x", "host:5000", (), False, id="host-and-port-is-no-user"),
        pytest.param("${user}", "", "", (), False, id="empty-user"),
        pytest.param("teams/${group}", "teams/web", "ann", ("ops", "web"), True, id="any-of-the-groups"),
        pytest.param("teams/${group}", "teams/web", "ann", ("ops",), False, id="foreign-group"),
        pytest.param("${group}/x", "host:5000/x", "ann", ("host:5000",), False, id="host-and-port-is-no-group"),
        pytest.param("${group}/${group}", "web/web", "ann", ("web", "ops"), True, id="same-group-twice"),
        pytest.param("${group}/${group}", "web/ops", "ann", ("web", "ops"), False, id="not-two-groups"),
        pytest.param("${group}/${user}/**", "web/ann/x", "ann", ("web",), True, id="both"),
    ],
)
def test_variables_fill_one_segment(
    pattern: str, name: str, user: str | None, groups: tuple[str, ...], expected: bool
) -> None:
    """`${user}` and `${group}` stand for one whole segment, literally."""
    assert covers(pattern, name, user, *groups) is expected


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        pytest.param("", "empty segment", id="empty"),
        pytest.param("/web", "empty segment", id="leading-slash"),
        pytest.param("web/", "empty segment", id="trailing-slash"),
        pytest.param("web//x", "empty segment", id="double-slash"),
        pytest.param("Web/**", "lower case", id="upper-case"),
        pytest.param("web/..", "a segment consists of", id="dots"),
        pytest.param("web/a..*", "no repository can have this name; fix: use single dots", id="two-dots"),
        pytest.param("web/.*", "no repository can have this name", id="regular-expression"),
        pytest.param("web/app-*-", "no repository can have this name", id="glob-with-a-separator-at-the-end"),
        pytest.param("web/site:1", "no tag, digest or port", id="tag"),
        pytest.param("web/site@sha256:00", "no tag, digest or port", id="digest"),
        pytest.param("web/?", "a segment consists of", id="question-mark"),
        pytest.param("web/[ab]", "a segment consists of", id="brackets"),
        pytest.param("web/{a,b}", "a segment consists of", id="braces"),
        pytest.param("^web$", "the variables are ${user} and ${group}", id="anchors"),
        pytest.param("web/x\n", "a segment consists of", id="newline"),
        pytest.param("web/a**", "must be a whole segment", id="double-star-inside"),
        pytest.param("web/***", "must be a whole segment", id="triple-star"),
        pytest.param("${user}-${group}", "at most one variable", id="two-variables-in-a-segment"),
        pytest.param("*${user}*", "on one side at most", id="globs-around-a-variable"),
        pytest.param("-${user}", "put separators only between", id="separator-before-a-variable"),
        pytest.param("x${user}..y", "use single dots", id="dots-beside-a-variable"),
        pytest.param("$x${user}", "the variables are ${user} and ${group}", id="a-dollar-beside-a-variable"),
        pytest.param(
            "${account}/x", "${account} needs a rule to a group such as group:reg-{account}-rw", id="unknown-variable"
        ),
        pytest.param("web-/x", "no repository can have this name", id="separator-at-the-end"),
        pytest.param("a/host:5000", "a segment consists of", id="port-not-at-the-start"),
        pytest.param("host:5000", "a segment consists of", id="host-alone"),
        pytest.param("wéb", "a segment consists of", id="not-ascii"),
        pytest.param("a" * 256, "longer than 255", id="too-long"),
    ],
)
def test_pattern_is_refused(pattern: str, complaint: str) -> None:
    """What no repository name could match is refused with what would be right."""
    with pytest.raises(PatternError, match=re.escape(complaint)):
        parse_pattern(pattern)


def test_plain_name_has_no_wildcards() -> None:
    """Registry resources are named, never matched."""
    assert matches(parse_name("catalog"), ["catalog"], None, ())
    with pytest.raises(PatternError, match="without wildcards"):
        parse_name("*")


def test_pattern_knows_its_literal_beginning() -> None:
    """The index finds a pattern by its leading literal segments."""
    pattern = parse_pattern("web/prod/*/x")
    assert (pattern.prefix, pattern.depth, len(pattern.rest)) == ("web/prod", 2, 2)
    assert not pattern.uses(SegmentKind.USER)
    assert parse_pattern("a/${user}").uses(SegmentKind.USER)


SEGMENTS = st.sampled_from(["a", "b", "ab", "aab", "ba", "ann"])
PATTERN_SEGMENTS = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "*a*", "**"])


@given(st.lists(PATTERN_SEGMENTS, min_size=1, max_size=6), st.lists(SEGMENTS, min_size=1, max_size=7))
def test_patterns_mean_what_an_equal_regular_expression_means(pattern: list[str], name: list[str]) -> None:
    """Against a translation into a regular expression, which the implementation does without."""
    parts = ["[^/]+(?:/[^/]+)*" if part == "**" else "[^/]+" if part == "*" else part.replace("*", "[^/]*")
             for part in pattern]  # fmt: skip
    expected = re.fullmatch("/".join(parts), "/".join(name)) is not None
    assert covers("/".join(pattern), "/".join(name)) is expected


HOSTILE = st.sampled_from(["*", "**", ".*", "a/b", "{a,b}", "$", "\\", "${account}", "${user}", "..", "a\n", "", "A"])


@given(
    st.sampled_from(["${user}", "users/${user}", "${user}/**", "**/${user}/*"]),
    st.one_of(HOSTILE, st.text(max_size=4), SEGMENTS),
    st.lists(SEGMENTS, min_size=1, max_size=4),
)
def test_a_user_name_is_only_ever_itself(pattern: str, user: str, name: list[str]) -> None:
    """Whatever a user is called, a match means that some segment is the user's name, letter by letter."""
    if covers(pattern, "/".join(name), user):
        assert user in name
        assert is_path_component(user)


@given(world.asked())
def test_variables_mean_what_their_values_mean_in_an_equal_regular_expression(
    case: tuple[Pattern, str, str | None, frozenset[str]],
) -> None:
    """Whole segments, parts of segments, the same variable twice, and captured parts of the names of groups."""
    pattern, name, user, groups = case
    assert matches(pattern, name.split("/"), user, groups) is world.covers(pattern, name, user, groups)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("reg-web-rw", "web"),
        ("reg-a-b-rw", "a-b"),
        ("reg--rw", None),
        ("reg-rw", None),
        ("reg-a--rw", None),
        ("reg-Web-rw", None),
        ("reg-a/b-rw", None),
        ("xreg-web-rw", None),
        ("reg-web-rwx", None),
    ],
)
def test_a_capture_is_a_legal_part_of_a_group_s_name(group: str, expected: str | None) -> None:
    """From end to end; never empty, never longer than the name leaves room for."""
    assert Capture("reg-", "-rw").value(group) == expected


def test_matching_has_no_bad_case() -> None:
    """The longest pattern of `**` over the longest name takes milliseconds, not for ever."""
    name = ["a"] * 127
    pattern = parse_pattern("/".join(["**", "a"] * 40 + ["b"]))
    glob = parse_pattern("a*" * 100 + "b")
    start = time.thread_time()
    assert not matches(pattern, name, None, ())
    assert not matches(glob, ["a" * 250], None, ())
    assert time.thread_time() - start < 0.25


globs = st.text(alphabet="ab*", min_size=1, max_size=6).filter(lambda text: "**" not in text and "*" in text)


@given(globs, st.text(alphabet="ab", min_size=1, max_size=7))
def test_a_glob_is_what_a_regular_expression_of_it_is(glob: str, text: str) -> None:
    """Any run of characters for each star, and every piece in its order, none of them twice."""
    expression = ".*".join(map(re.escape, glob.split("*")))
    assert covers(glob, text) is (re.fullmatch(expression, text) is not None)


def test_a_pattern_is_as_long_as_a_name_can_be() -> None:
    """And no longer; with as many globs as there may be."""
    assert parse_pattern("a" * 255).text == "a" * 255
    assert len(parse_pattern("/".join(["*"] * MAX_GLOBS)).rest) == MAX_GLOBS
    with pytest.raises(
        PatternError, match=r"^has a \* in more than 32 segments; fix: use one \*\* for several segments$"
    ):
        parse_pattern("/".join(["*"] * (MAX_GLOBS + 1)))


def test_a_plain_name_is_a_pattern_for_itself() -> None:
    """All of it is the literal beginning."""
    assert parse_name("a/b-c") == Pattern("a/b-c", "a/b-c", 2, ())
    assert parse_name("catalog") == parse_pattern("catalog")
    with pytest.raises(PatternError, match=r"^must be a plain name such as catalog, without wildcards$"):
        parse_name("a/*")


@pytest.mark.parametrize(
    ("name", "user", "expected"),
    [
        pytest.param("ann/web/web", "ann", True, id="both"),
        pytest.param("bob/web/web", "ann", False, id="another-user"),
        pytest.param("ann/web/ops", "ann", False, id="two-groups"),
        pytest.param("ann/web/web", None, False, id="nobody"),
    ],
)
def test_a_user_beside_a_group_that_is_repeated(name: str, user: str | None, expected: bool) -> None:
    """The same group twice, and the user's own name."""
    assert covers("${user}/${group}/${group}", name, user, "web", "ops") is expected
