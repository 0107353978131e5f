"""What some patterns cover and others do not: against counting, over the globs that were worst, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_globs import ALL, NO_WORD_BUT_A, covering, escapes, nasty, users
from policy_globs import WORDS, covered_in_many_ways

from tokenserver.patterns import Pattern, matches, parse_pattern
from tokenserver.policy.analysis.containment import contains, escape, escape_from, is_empty, overlaps
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.scopes import is_repository_name


@settings(deadline=None, max_examples=3 * settings().max_examples)
@given(st.lists(nasty, max_size=6), nasty)
def test_containment_of_the_worst_globs_agrees_with_counting(outer: list[Pattern], inner: Pattern) -> None:
    """A name that escapes does so indeed, and none among all short ones is shorter; where none is found, none is."""
    escaping = [name for name, user in covering(inner) if escapes(name, user, outer)]
    found = escape(outer, inner)
    if found is None:
        assert escaping == []
        assert contains(outer, inner)
    else:
        assert is_repository_name(found)
        assert any(escapes(found, user, outer) for user in users(inner, found))
        assert len(found) <= min(map(len, escaping), default=len(found))


@settings(deadline=None)
@given(st.lists(nasty, max_size=4), nasty, nasty)
def test_what_two_patterns_cover_together_agrees_with_counting(
    outer: list[Pattern], one: Pattern, other: Pattern
) -> None:
    """For one and the same client."""
    escaping = [
        name
        for name, user in covering(one)
        for same in ({user} if user else set(users(other, name)))
        if matches(other, name.split("/"), same or None, ()) and escapes(name, same, outer)
    ]
    found = escape_from(outer, [one, other])
    if found is None:
        assert escaping == []
    else:
        assert any(
            matches(pattern, found.split("/"), user, ()) and escapes(found, user, outer)
            for pattern in (one, other)
            for user in found.split("/")
        )
        assert len(found) <= min(map(len, escaping), default=len(found))


@settings(deadline=None)
@given(nasty, nasty)
def test_overlap_of_the_worst_globs_agrees_with_counting(one: Pattern, other: Pattern) -> None:
    """Each for some user of its own."""
    both = {name for name, _ in covering(one)} & {name for name, _ in covering(other)}
    found = overlaps(one, other)
    if found is None:
        assert both == set()
    else:
        assert list(users(one, found))
        assert list(users(other, found))
        assert len(found) <= min(map(len, both), default=len(found))


@pytest.mark.parametrize("separator", ["-", "_", "."])
def test_a_separator_that_no_glob_names_is_tried_where_all_letters_are_named(separator: str) -> None:
    """Two letters that never stand side by side can still stand apart."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    named = {"-", "_", "."} - {separator}
    pairs = [f"*{one}{other}*" for one, other in product(letters, letters)]
    separated = [f"*{letter}{one}*" for letter in letters for one in named]
    patterns = [parse_pattern(text) for text in (*pairs, *(text for text in separated))]
    found = escape(patterns, parse_pattern("a*b"))
    assert found is not None
    assert found == f"a{separator}b"


@pytest.mark.parametrize("count", range(2, 21))
@pytest.mark.parametrize(
    ("form", "inner", "escaping"),
    [
        pytest.param("*{}*/**", "x-{}-x/**", False, id="one-covers"),
        pytest.param("*{}*/**", "**", True, id="everything"),
        pytest.param("*{0}*{0}*/**", "*{0}*/**", True, id="twice"),
        pytest.param("**/*{}*", "**/{}/*", True, id="at-the-end"),
        pytest.param("**/*{}*/**", "**/{}/**/{}", False, id="somewhere"),
        pytest.param("teams/${{user}}/*{}*", "teams/${{user}}/*", True, id="beside-a-variable"),
    ],
)
def test_the_cost_grows_with_the_globs_and_not_exponentially(count: int, form: str, inner: str, escaping: bool) -> None:
    """What took thirteen seconds with twelve globs takes a few thousand steps with twenty."""
    budget = Budget(10_000)
    found = escape(
        [parse_pattern(form.format(word)) for word in WORDS[:count]],
        parse_pattern(inner.format(*[WORDS[count - 1]] * 2)),
        budget,
    )
    assert (found is not None) is escaping


def test_what_is_too_complex_is_neither_yes_nor_no() -> None:
    """The budget is spent, and the error says how much it was and what helps."""
    outer, inner = covered_in_many_ways(16)
    with pytest.raises(TooComplex, match=r"within 250,000 steps, the limit for one question: .* fix: begin"):
        contains(outer, inner)
    few, small = covered_in_many_ways(4)
    assert contains(few, small)


def test_a_verdict_does_not_depend_on_what_was_asked_before() -> None:
    """What is remembered counts as if it had been found out again."""
    outer = [parse_pattern(f"*{word}*/x") for word in WORDS]
    left = []
    for _ in range(3):
        budget = Budget()
        assert escape(outer, parse_pattern("*alpha*/*")) is not None
        escape(outer, parse_pattern("*alpha*/*"), budget)
        left.append(budget.left)
    assert len(set(left)) == 1


@pytest.mark.parametrize("kind", ["contains", "overlaps", "is_empty"])
def test_every_question_spends_its_budget(kind: str) -> None:
    """None of them runs on."""
    one, other = parse_pattern("**/*a*/**/*b*"), parse_pattern("*a*b*/**/*b*")
    budget = Budget(20)
    questions: dict[str, Callable[[], object]] = {
        "contains": partial(contains, [other], one, budget),
        "overlaps": partial(overlaps, one, other, budget),
        "is_empty": partial(is_empty, one, budget),
    }
    with pytest.raises(TooComplex):
        questions[kind]()
    assert budget.is_spent


@pytest.mark.parametrize(
    ("outer", "inner", "witness"),
    [
        pytest.param(
            [*(f"{one}*/*" for one in ALL if one != "a"), *(f"*/{one}*" for one in ALL if one != "b")],
            "${user}/${user}",
            None,
            id="no-other-word-for-the-user",
        ),
        pytest.param(
            [*(f"{text}/**" for text in NO_WORD_BUT_A), "${user}/*"], "*/${user}", "a/b", id="another-word-for-the-user"
        ),
        pytest.param(["${user}/${group}"], "${user}/${group}", None, id="the-same"),
        pytest.param(["${group}/${user}"], "${user}/${group}", "y/w", id="the-other-way-round"),
        pytest.param(["a/${group}"], "a/${user}", "a/x", id="another-variable"),
        pytest.param(["*/*"], "a:1/${user}", None, id="host"),
        pytest.param([], "a:123456*/x", None, id="no-name"),
    ],
)
def test_variables_among_few_words(outer: list[str], inner: str, witness: str | None) -> None:
    """Where hardly a word is left for a user, the user is still told from everybody else."""
    found = escape(map(parse_pattern, outer), parse_pattern(inner))
    assert (found is None) == (witness is None)
    assert found is None or len(found) == len(witness or "")


@pytest.mark.parametrize(
    ("one", "other", "witness"),
    [
        pytest.param("${user}/${user}", "a/*", "a/a", id="repeated"),
        pytest.param("${user}/${user}", "a/b", None, id="repeated-apart"),
        pytest.param("${group}/x/${group}", "${user}/**", "x/x/x", id="each-of-its-own"),
        pytest.param("${user}/x", "a:1/x", None, id="no-host-is-a-user"),
        pytest.param("*:1*/x", "a*:*/*", "a:1/x", id="hosts"),
    ],
)
def test_overlap_with_variables(one: str, other: str, witness: str | None) -> None:
    """A variable that is repeated in one pattern is the same each time."""
    found = overlaps(parse_pattern(one), parse_pattern(other))
    assert (found is None) == (witness is None)
    assert found is None or len(found) == len(witness or "")


def test_a_required_pattern_of_each_client() -> None:
    """Two patterns with different users in one name are about nobody."""
    patterns = [parse_pattern("${user}/*"), parse_pattern("*/${user}")]
    found = escape_from([], patterns)
    assert found is not None
    first, second = found.split("/")
    assert first == second
    assert escape_from([parse_pattern("${user}/${user}")], patterns) is None


def test_one_name_for_all_places_of_a_user() -> None:
    """Where the shortest word for one place is none for the other, a longer one is looked for."""
    user, ends = parse_pattern("${user}/${user}"), parse_pattern("a*/*b")
    found = escape_from([], [user, ends])
    assert found is not None
    assert matches(ends, found.split("/"), None, ())
    assert len(set(found.split("/"))) == 1
    assert escape_from([], [parse_pattern("${user}/a*"), parse_pattern("b*/${user}")]) is None
