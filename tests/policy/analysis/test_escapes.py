"""What some patterns cover and others do not: against counting, over the globs that were worst, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_globs import WORDS, covered_in_many_ways

from tokenserver.policy.analysis.containment import contains, covered_names, escape, escape_from, is_empty, overlaps
from tokenserver.policy.analysis.segment_automata import Grammar
from tokenserver.policy.analysis.shortest_names import least_words
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.patterns import Pattern, matches, parse_pattern
from tokenserver.scopes import is_path_component, is_repository_name

NASTY = ["*a*", "*b*", "*a*b*", "*b*a*", "a*a*a", "*a*a*", "*aa*", "*ab*", "*a-b*", "a*", "*b", "a", "*", "**"]
NASTY += ["${user}"]
LONG = [
    word for length in range(1, 6) for word in map("".join, product("abx-", repeat=length)) if is_path_component(word)
]
SHORT = [word for word in LONG if len(word) <= 3]
NAMES = [*LONG, *map("/".join, product(SHORT, repeat=2))]

nasty = st.lists(st.sampled_from(NASTY), min_size=1, max_size=2).map("/".join).map(parse_pattern)


@cache
def covering(pattern: Pattern) -> frozenset[tuple[str, str]]:
    """The short names that the pattern covers, each with the user for whom it does (empty: for everybody)."""
    return frozenset((name, user) for name in NAMES for user in users(pattern, name))


def users(pattern: Pattern, name: str) -> Iterator[str]:
    segments = name.split("/")
    for user in set(segments) if "${user}" in pattern.text else [""]:
        if matches(pattern, segments, user, ()):
            yield user


def escapes(name: str, user: str, outer: Sequence[Pattern]) -> bool:
    return not any(matches(one, name.split("/"), user or None, ()) for one in outer)


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


globs = st.frozensets(st.sampled_from([text for text in NASTY if text not in ("**", "${user}")]), max_size=5)


@settings(deadline=None)
@given(globs, globs)
def test_least_words_leave_no_better_one_out(required: frozenset[str], avoided: frozenset[str]) -> None:
    """Whatever word all required globs take, one that is no longer is taken by no other avoided globs."""
    found = least_words(Grammar.COMPONENT, required, avoided, 0, Budget())
    taken = {text: {word for word, _ in covering(parse_pattern(text))} for text in required | avoided}
    for word, by in found:
        assert all(list(users(parse_pattern(text), word)) for text in required)
        assert by == {text for text in avoided if list(users(parse_pattern(text), word))}
    for word in LONG:
        if all(word in taken[text] for text in required):
            others = {text for text in avoided if word in taken[text]}
            assert any(len(one) <= len(word) and theirs <= others for one, theirs in found)


def test_least_words_are_few() -> None:
    """As many as there are globs, where the globs tell more than a million classes of words apart."""
    words = frozenset(f"*{word}*" for word in WORDS[:20])
    assert least_words(Grammar.COMPONENT, frozenset(), words, 0, Budget()) == (("y", frozenset()),)
    letters = frozenset(f"*{letter}*" for letter in "abcdefghijklmnopqrstuvwxyz0123456789")
    assert len(least_words(Grammar.COMPONENT, frozenset(), letters, 0, Budget())) == 36


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


ALL = "abcdefghijklmnopqrstuvwxyz0123456789"
NO_WORD_BUT_A = [f"a{character}*" for character in f"{ALL}._-"] + [f"{letter}*" for letter in ALL if letter != "a"]


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


def test_a_product_search_tries_all_words_of_a_small_class() -> None:
    """Of a class with one word alone, that word is the user's and nobody's in turn."""
    others = [parse_pattern(f"{text}/**") for text in NO_WORD_BUT_A]
    met = [one for one in covered_names([parse_pattern("*/${user}")], others) if not one.others]
    assert {one.name.partition("/")[0] for one in met} == {"a"}
    assert {match.user == "a" for one in met for match in one.required} == {True, False}
