"""The globs that are worst for a search, and the short names that they cover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

from hypothesis import strategies as st

from tokenserver.patterns import Pattern, matches, parse_pattern
from tokenserver.scopes import is_path_component

NASTY = [
    "*a*",
    "*b*",
    "*a*b*",
    "*b*a*",
    "a*a*a",
    "*a*a*",
    "*aa*",
    "*ab*",
    "*a-b*",
    "a*",
    "*b",
    "a",
    "*",
    "**",
    "${user}",
]


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
    """The users for whom the pattern covers the name; empty: for everybody."""
    segments = name.split("/")
    for user in set(segments) if "${user}" in pattern.text else [""]:
        if matches(pattern, segments, user, ()):
            yield user


def escapes(name: str, user: str, outer: Sequence[Pattern]) -> bool:
    """Whether none of the patterns covers the name for this user."""
    return not any(matches(one, name.split("/"), user or None, ()) for one in outer)


globs = st.frozensets(st.sampled_from([text for text in NASTY if text not in ("**", "${user}")]), max_size=5)
ALL = "abcdefghijklmnopqrstuvwxyz0123456789"
NO_WORD_BUT_A = [f"a{character}*" for character in f"{ALL}._-"] + [f"{letter}*" for letter in ALL if letter != "a"]
