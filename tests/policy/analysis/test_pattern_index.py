"""The index of patterns: whatever can meet is found, and different literals at one place exclude each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import NAMES, partial

from tokenserver.patterns import Pattern, parse_pattern
from tokenserver.policy.analysis.containment import contains, overlaps
from tokenserver.policy.analysis.pattern_index import INDEXED_PLACES, MANY_PATTERNS, PatternIndex, widest
from tokenserver.policy.variables.readings import matches_somebody

PATTERNS = st.lists(
    st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "ab*", "*ab", "a*b*", "**", "${user}", "${group}"]),
    min_size=1,
    max_size=4,
).map(lambda parts: parse_pattern("/".join(parts)))


@settings(deadline=None)
@given(st.lists(PATTERNS, max_size=12), PATTERNS)
def test_every_pattern_that_overlaps_is_found(patterns: list[Pattern], asked: Pattern) -> None:
    """In order, each once."""
    found = list(PatternIndex(patterns).meeting(asked))
    assert found == sorted(set(found))
    assert all(place in found for place, one in enumerate(patterns) if overlaps(one, asked) is not None)


@settings(deadline=None)
@given(
    st.lists(PATTERNS, max_size=8),
    st.lists(PATTERNS, min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=5),
)
def test_every_pattern_of_a_name_that_all_cover_is_found(
    patterns: list[Pattern], asked: list[Pattern], segments: list[str]
) -> None:
    """With several patterns, what they cover together counts."""
    if all(matches_somebody(one, segments) for one in asked):
        found = set(PatternIndex(patterns).meeting(*asked))
        assert all(place in found for place, one in enumerate(patterns) if matches_somebody(one, segments))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(
            "*/shared1/**", ["*/shared1/**", "**", "*/*/x", "t/**", "*/shar*/x", "**/end"], id="front wildcard"
        ),
        pytest.param("t/shared2/x", ["*/shared2/**", "**", "*/*/x", "t/**", "*/shar*/x"], id="a name"),
        pytest.param("*/x", ["**", "t/**"], id="a fixed number of segments"),
        pytest.param("**/other", ["*/shared1/**", "*/shared2/**", "**", "t/**"], id="the last segment"),
        pytest.param("u/s*/**", ["*/shared1/**", "*/shared2/**", "**", "*/*/x", "*/shar*/x", "**/end"], id="a glob"),
        pytest.param("u/z*/**", ["**", "*/*/x", "**/end"], id="a glob that begins in another way"),
        pytest.param("u/*z/x", ["**", "*/*/x", "*/shar*/x"], id="a glob that ends in another way"),
        pytest.param("u/z-${user}/x", ["**", "*/*/x"], id="a variable after another text"),
        pytest.param("u/shared${user}-z/x", ["**", "*/*/x", "*/shar*/x"], id="a variable between texts"),
    ],
)
def test_patterns_that_may_meet(asked: str, expected: list[str]) -> None:
    """By literals at both ends, and by length."""
    texts = ["*/shared1/**", "*/shared2/**", "**", "*/*/x", "t/**", "*/shar*/x", "**/end"]
    index = PatternIndex([parse_pattern(text) for text in texts])
    assert [texts[place] for place in index.meeting(parse_pattern(asked))] == expected


def test_many_patterns_with_one_literal() -> None:
    """They are kept in another form, with the same answers."""
    texts = [f"t{number}/app/**" for number in range(MANY_PATTERNS + 6)] + ["*/other/**"]
    index = PatternIndex([parse_pattern(text) for text in texts])
    assert list(index.meeting(parse_pattern("*/app/x"))) == list(range(MANY_PATTERNS + 6))
    assert list(index.meeting(parse_pattern("*/other/x"))) == [MANY_PATTERNS + 6]


def test_segments_beyond_the_indexed_places() -> None:
    """They are compared as well."""
    deep = "/".join(["*"] * INDEXED_PLACES)
    index = PatternIndex([parse_pattern(f"{deep}/{text}/**") for text in ("a", "b")])
    assert list(index.meeting(parse_pattern(f"{deep}/b/**"))) == [1]


@settings(deadline=None)
@given(st.lists(partial, max_size=8), st.lists(partial, min_size=1, max_size=2), st.sampled_from(NAMES))
def test_every_partial_pattern_of_a_name_that_all_cover_is_found(
    patterns: list[Pattern], asked: list[Pattern], name: str
) -> None:
    """Variables inside segments and captures exclude nothing that they can cover."""
    segments = name.split("/")
    if all(matches_somebody(one, segments) for one in asked):
        found = set(PatternIndex(patterns).meeting(*asked))
        assert all(place in found for place, one in enumerate(patterns) if matches_somebody(one, segments))


@settings(deadline=None)
@given(st.lists(PATTERNS, max_size=12))
def test_the_widest(patterns: list[Pattern]) -> None:
    """No pattern that is left covers another one, and each that is not left is covered by one that is."""

    def covers(one: Pattern, other: Pattern) -> bool:
        return contains([one], other)

    found = widest(patterns, lambda one: one, covers)
    assert not any(covers(one, other) for one in found for other in found if one is not other)
    assert all(any(covers(one, other) for one in found) for other in patterns)


def test_what_cannot_meet_is_not_compared() -> None:
    """Patterns below different names are compared with none of each other."""
    compared: list[str] = []

    def covers(one: Pattern, other: Pattern) -> bool:
        compared.append(f"{one.text} {other.text}")
        return False

    widest([parse_pattern(text) for text in ("a/**", "b/**", "c/*/x", "b/y")], lambda one: one, covers)
    assert compared == ["b/** b/y", "b/y b/**"]
