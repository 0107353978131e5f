"""Wildcard patterns of the names of groups: what they match, and that no name takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.name_globs import matches


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("reg-*", "reg-web", True),
        ("REG-*", "reg-web", True),
        ("reg-*", "xreg-web", False),
        ("reg", "reg-web", False),
        ("*", "", True),
        ("a.c", "abc", False),
        ("*a*b*", "xxaxxbxx", True),
        ("[a]", "a", False),
    ],
)
def test_globs(glob: str, name: str, expected: bool) -> None:
    """A star is any run of characters; everything else is literal."""
    assert matches(glob, name) is expected


def _slow_match(glob: str, name: str) -> bool:
    """What `matches` decides, in the simplest way: a star is nothing, or one character more."""
    if not glob:
        return not name
    if glob[0] == "*":
        return _slow_match(glob[1:], name) or (bool(name) and _slow_match(glob, name[1:]))
    return name[:1] == glob[0] and _slow_match(glob[1:], name[1:])


@given(st.text("ab*", max_size=7), st.text("ab", max_size=7))
def test_globs_match_as_in_the_simplest_way(glob: str, name: str) -> None:
    """However stars and literal parts follow each other."""
    assert matches(glob, name) is _slow_match(glob, name)


def test_a_hostile_name_takes_no_time() -> None:
    """The work for a name is bounded, whatever stars the glob has: anybody who may create groups can name them."""
    begin = time.process_time()
    assert not matches("*a" * 12 + "*b", "a" * 255)
    assert time.process_time() - begin < 1
