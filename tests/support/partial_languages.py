"""Patterns with variables inside segments and with captures: strategies, and what they cover by trying everything."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

from hypothesis import strategies as st
from pattern_languages import covers

from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import is_path_component

WORDS = [
    word for length in range(1, 5) for word in map("".join, product("ab-", repeat=length)) if is_path_component(word)
] + ["x", "a-x", "x-a"]
NAMES = [*WORDS, *map("/".join, product(WORDS[:12], repeat=2))]

CAPTURES = (
    (Capture("r-", ""),),
    (Capture("", "-w"),),
    (Capture("r-", "-w"), Capture("a", "")),
    (Capture("a-", ""), Capture("", "-a")),
)

_PLAIN = ["a", "b", "a-b", "*", "a*", "*b", "a*b", "**"]
_USER = ["${user}", "${user}-a", "a-${user}", "a${user}", "${user}a", "${user}-*", "*${user}", "aa${user}"]
_GROUP = ["${g}", "${g}-a", "a-${g}", "a${g}", "${g}b", "${g}-*", "*-${g}", "b${g}"]


def _parsed(segments: list[str], captures: tuple[Capture, ...] | None) -> Pattern:
    text = "/".join(segments)
    if captures is None:
        return parse_pattern(text.replace("${g}", "${group}"))
    return parse_pattern(text.replace("${g}", "${team}"), "team", captures)


partial = st.builds(
    _parsed,
    st.lists(st.sampled_from([*_PLAIN, *_USER, *_USER, *_GROUP, *_GROUP]), min_size=1, max_size=2),
    st.none() | st.none() | st.sampled_from(CAPTURES),
)


@cache
def parts_of(name: str) -> tuple[str, ...]:
    """Every legal part of a segment of a name."""
    found = {
        one[first:last]
        for one in name.split("/")
        for first in range(len(one))
        for last in range(first + 1, len(one) + 1)
        if is_path_component(one[first:last])
    }
    return tuple(sorted(found))


def groups_of(pattern: Pattern, name: str) -> list[str]:
    """Every name of a group that can matter for a pattern and a name."""
    captures = pattern.captures or (Capture("", ""),)
    return [f"{before}{part}{after}" for part in parts_of(name) for before, after in captures]


@cache
def all_readings(pattern: Pattern, name: str) -> frozenset[tuple[str, str]]:
    """Each user and group for which the pattern covers the name; empty where it has no variable.

    A test holds that `tried` finds the same.
    """
    return frozenset(readings(pattern, name.split("/")))


def tried(pattern: Pattern, name: str) -> Iterator[tuple[str, str]]:
    """Each user and group for which the pattern covers the name, by trying every part of it as a value."""
    for user in parts_of(name) if "${user}" in pattern.text else [""]:
        for group in groups_of(pattern, name) if "${" in pattern.text.replace("${user}", "") else [""]:
            if covers(pattern, name, user or None, group or None):
                yield user, group
