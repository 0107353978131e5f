"""Patterns with variables and captures, and what they cover by an equal regular expression."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from hypothesis import reject
from hypothesis import strategies as st

from tokenserver.patterns import Capture, Pattern, PatternError, parse_pattern

PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
CAPTURES = [Capture("r-", "-w"), Capture("", "-w"), Capture("x-", ""), Capture("r-a", "w")]
VALUES = ["a", "b", "a-b", "ab", "aa", "a-", "-", "b--a"]
"""Values of variables; some are no path components."""


def expressions(text: str, user: str | None, values: Collection[str], variable: str) -> Iterator[str]:
    """Regular expressions for the pattern, one for each value of its variable besides `${user}`."""
    if "${user}" in text and not PATH_COMPONENT.fullmatch(user or ""):
        return
    used = [one for one in values if PATH_COMPONENT.fullmatch(one)] if variable in text else [""]
    for value in used:
        parts = text.replace("${user}", user or "").replace(variable, value).split("/")
        yield "/".join("[^/]+(/[^/]+)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in parts)


def covers(pattern: Pattern, name: str, user: str | None, groups: Collection[str]) -> bool:
    """Whether the pattern covers the name for this user in these groups, by regular expressions alone."""
    values, variable = list(groups), "${group}"
    if pattern.captures:
        around = [f"{re.escape(before)}(.+){re.escape(after)}" for before, after in pattern.captures]
        values = [found[1] for one in around for group in groups if (found := re.fullmatch(one, group))]
        variable = "${t}"
    return any(re.fullmatch(one, name) for one in expressions(pattern.text, user, values, variable))


def parsed(segments: list[str], captures: list[Capture]) -> Pattern:
    """The pattern, with `${t}` in place of `${group}` if there are captures."""
    text = "/".join(segments)
    try:
        return (
            parse_pattern(text.replace("${group}", "${t}"), "t", tuple(captures)) if captures else parse_pattern(text)
        )
    except PatternError:
        reject()


def filled(pattern: Pattern, user: str, value: str, other: str, star: str) -> str:
    """A name that the pattern covers for some user in some group, if `value` is `other`."""
    text = pattern.text.replace("${t}", "${group}").replace("**", "a/b").replace("${user}", user)
    text = text.replace("${group}", value, 1).replace("${group}", other).replace("*", star)
    return "/".join(part.strip("-") or "a" for part in text.split("/"))


_around = st.sampled_from(["", "", "", "a", "b-", "*", "a*", "*-", "-b*"])
_variable = st.builds(lambda before, name, after: f"{before}{name}{after}".removeprefix("-"), _around,
                      st.sampled_from(["${user}", "${group}", "${group}"]), _around)  # fmt: skip
_segment = st.sampled_from(["a", "ab", "*", "a*", "*b", "**"])
patterns = st.builds(
    parsed,
    st.lists(st.one_of(_segment, _variable), min_size=1, max_size=4),
    st.lists(st.sampled_from(CAPTURES), max_size=2, unique=True),
)
_value = st.sampled_from(VALUES)
cases = patterns.flatmap(
    lambda pattern: st.tuples(
        st.just(pattern), st.builds(filled, st.just(pattern), _value, _value, _value, st.sampled_from(["", "a", "-b"]))
    )
)
"""A pattern, and a name that it covers for somebody more often than not."""

_groups = st.frozensets(
    st.builds(
        lambda capture, value: f"{capture.before}{value}{capture.after}",
        st.sampled_from([*CAPTURES, Capture("", "")]),
        st.sampled_from([*VALUES, ""]),
    ),
    max_size=3,
)
_user = st.sampled_from([*VALUES, "", "host:5000", None])


@st.composite
def asked(draw: st.DrawFn) -> tuple[Pattern, str, str | None, frozenset[str]]:
    """A pattern, a name, a user and groups, which make the pattern cover the name in half of the cases."""
    pattern, groups = draw(patterns), draw(_groups)
    user, value, star = draw(_user), draw(_value), draw(st.sampled_from(["", "a", "-b"]))
    before, after = draw(st.sampled_from(pattern.captures or [Capture("", "")]))
    fitting = draw(st.integers(0, 3))
    name = filled(pattern, user or "a", value, value if fitting else draw(_value), star)
    return pattern, name, user, groups | {f"{before}{value}{after}"} if fitting != 1 else groups
