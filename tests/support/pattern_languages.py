"""Patterns as sets of short names: names to count, strategies for patterns, and what a pattern covers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hypothesis import strategies as st

from tokenserver.patterns import Pattern, matches, parse_pattern
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
    """Patterns whose first segment and whose others are of these."""
    parts = st.tuples(first, st.lists(rest, max_size=3)).filter(lambda made: made[1] or ":" not in made[0])
    return parts.map(lambda made: parse_pattern("/".join([made[0], *made[1]])))


plain = spelled(firsts | segments, segments)
with_variables = spelled(variables, variables)


def covers(pattern: Pattern, name: str, user: str | None = None, group: str | None = None) -> bool:
    """Whether the pattern covers the name, for this user in this group."""
    return matches(pattern, name.split("/"), user, () if group is None else (group,))


def readings(pattern: Pattern, name: str) -> Iterator[tuple[str, str]]:
    """The users and groups for which the pattern covers the name; a variable it does not have is left alone."""
    words = sorted(set(filter(is_path_component, name.split("/"))))
    for user in words if "${user}" in pattern.text else [""]:
        for group in words if "${group}" in pattern.text else [""]:
            if covers(pattern, name, user, group):
                yield user, group
