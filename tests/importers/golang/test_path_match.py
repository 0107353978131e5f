"""Globs of Go's path.Match: its recorded answers, and an independent matcher where its algorithm finds every match."""

from __future__ import annotations

import pytest
from go_questions import disagreements
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.importers.golang.path_match import glob_matches, is_bad_glob


def test_go_agrees() -> None:
    """Every recorded glob."""
    assert disagreements("glob") == []


def naive(pattern: str, name: str) -> bool:
    """All ways to match a glob of letters, stars and question marks."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return naive(pattern[1:], name) or (name[:1] not in ("", "/") and naive(pattern, name[1:]))
    if pattern[0] == "?":
        return name[:1] not in ("", "/") and naive(pattern[1:], name[1:])
    return name[:1] == pattern[0] and naive(pattern[1:], name[1:])


@given(st.text("ab*?/", max_size=7), st.text("ab/", max_size=7))
@example("*a*b", "aab")
@example("*/b*", "a/bb")
def test_without_classes_every_match_is_found(pattern: str, name: str) -> None:
    """The first fit of each part is as good as any."""
    assert glob_matches(pattern, name) == naive(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param("*[^x]*b", "a/b", False, id="a part is never tried again, although a class could match the slash"),
        pytest.param("[^x]b", "/b", True, id="a class matches a slash"),
        pytest.param("*[^x]", "é", True, id="a star may end inside a character"),
        pytest.param("?", "\udcff", True, id="a byte that is not UTF-8"),
        pytest.param("[^a]", "\udcc3", True, id="a byte that begins a character but is alone"),
        pytest.param("[\u4e00-\u4e09]\U0001f600", "\u4e01\U0001f600", True, id="three and four bytes"),
        pytest.param("[\udcff]", "\udcff", False, id="a byte that is not UTF-8, in a class"),
    ],
)
def test_quirks(pattern: str, name: str, expected: bool) -> None:
    """What the grammar of globs does not say."""
    assert glob_matches(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["[", "a[", "a\\", "[a", "[]", "[a-]", "[-a]", "[\\", "*a*[", "[^", "[a-"])
def test_bad_globs(pattern: str) -> None:
    """A malformed glob matches nothing."""
    assert is_bad_glob(pattern)
    assert not glob_matches(pattern, "a")


@pytest.mark.parametrize("pattern", ["", "*", "a/[b-c]*", "\\[", "[^a]"])
def test_good_globs(pattern: str) -> None:
    """The others are not malformed."""
    assert not is_bad_glob(pattern)


def test_many_stars_cost_little() -> None:
    """No part is tried again, so that the time does not grow with the number of stars."""
    assert not glob_matches("*a" * 40 + "b", "a" * 2000)
