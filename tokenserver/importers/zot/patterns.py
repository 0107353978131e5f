"""Patterns of zot (doublestar v4) as patterns of the policies. Pure.

`**` is any number of whole segments there, also none, so one pattern may become several. A `?`, a class or an escape
has no counterpart: such a pattern grants nothing, and it takes from shorter ones what it matches with `*` in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tokenserver.importers.legal_names import repository_problem
from tokenserver.patterns import Pattern, parse_pattern

MAX_PATTERNS = 64
"""Limit for the patterns that one becomes."""

MAX_LENGTH = 1000
"""Characters; a longer one counts as too many patterns."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_INEXACT = re.compile(r"\?|\[[^\]]*\]|\\.|[{}]")
_ANY = "\0"
"""In place of what has no counterpart, which is not a star: two stars alone in a segment are something else."""
_STARS = re.compile(r"\*{2,}")


@dataclass(frozen=True, slots=True)
class ZotPattern:
    """A pattern. `covering` match all the names that it matches, and without a `problem` no others."""

    text: str
    covering: tuple[Pattern, ...]
    problem: str = ""

    @property
    def spelled(self) -> tuple[str, ...]:
        """The texts of `covering`."""
        return tuple(one.text for one in self.covering)


def read_pattern(text: str) -> ZotPattern:
    """The pattern of zot with this text."""
    found: dict[str, None] = {}
    problem = ""
    too_many = ZotPattern(text, (parse_pattern("**"),), f"it stands for more than {MAX_PATTERNS} patterns")
    if len(text) > MAX_LENGTH:
        return too_many
    for number, (spelled, is_exact) in enumerate(_spellings(text)):
        if number == MAX_PATTERNS:
            return too_many
        if not is_exact:
            problem = "?, [classes], escapes and single braces have no counterpart"
        if not repository_problem(spelled):
            found[spelled] = None
    if not found and not problem:
        problem = "no repository has such a name"
    return ZotPattern(text, tuple(map(parse_pattern, found)), problem)


def _spellings(text: str) -> Iterator[tuple[str, bool]]:
    """The patterns that one stands for, and whether each is exact."""
    for one in _expanded(text):
        plain = _INEXACT.sub(_ANY, one)
        for spelled in _spelled(plain):
            yield spelled, plain == one


def _expanded(text: str) -> Iterator[str]:
    """The pattern with each of its alternatives in braces."""
    waiting = [text]
    while waiting:
        one = waiting.pop()
        matched = _BRACES.search(one)
        if matched is None:
            yield one
        else:
            before, after = one[: matched.start()], one[matched.end() :]
            waiting += [f"{before}{part}{after}" for part in matched[1].split(",")]


def _spelled(text: str) -> Iterator[str]:
    """The pattern with each `**` as none and as one or more segments; elsewhere two stars are one."""
    segments: list[str] = []
    for segment in text.split("/"):
        one = segment if segment == "**" else _STARS.sub("*", segment.replace(_ANY, "*"))
        if one != "**" or segments[-1:] != ["**"]:
            segments.append(one)
    choices = [("**", None) if segment == "**" else (segment,) for segment in segments]
    for chosen in product(*choices):
        if spelled := "/".join(one for one in chosen if one is not None):
            yield spelled
