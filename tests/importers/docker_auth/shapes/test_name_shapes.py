"""Globs and regular expressions as patterns: a table, and a comparison with the matcher of docker_auth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.docker_auth.patterns import text_matches
from tokenserver.importers.docker_auth.shapes.name_shapes import NameSet, NameShape, glob_names, quoted, regex_names
from tokenserver.importers.docker_auth.shapes.pattern_spelling import CAPTURED
from tokenserver.patterns import matches, parse_pattern
from tokenserver.scopes import is_repository_name


def _covers(pattern: str, name: str) -> bool:
    return matches(parse_pattern(pattern, CAPTURED), name.split("/"), None, ())


def _has(shape: NameShape, name: str) -> bool:
    return _covers(shape.pattern, name) and not any(_covers(one, name) for one in shape.without)


GLOBS = {
    "one segment": ("team/*", ["team/*"]),
    "two stars are one": ("team/**", ["team/*"]),
    "a class": ("v[12]", ["v1", "v2"]),
    "an escape": (r"te\am", ["team"]),
    "no name has capital letters": ("Team/*", []),
    "malformed": ("team[", []),
    "an escape at the end": ("team\\", []),
    "a class without an end": ("team[a", []),
    "a range without an end": ("team[a-", []),
    "an escape in a class": (r"v[\1]", ["v1"]),
    "an escape at the end of a class": ("v[\\", []),
    "a negation": (r"v[^0-9b-z._:\-]", ["va"]),
}


@pytest.mark.parametrize(("text", "expected"), GLOBS.values(), ids=GLOBS)
def test_globs(text: str, expected: list[str]) -> None:
    """A star never crosses a slash."""
    assert [shape.pattern for shape in glob_names(text).shapes] == expected


def test_a_question_mark_is_every_character() -> None:
    """Of a name; none can end with a separator."""
    assert len(glob_names("a?").shapes) == 36


REGEXES = {
    "a tree": (r"^team/.*$", ["team/**"]),
    "without an end": (r"^team/", ["team/**"]),
    "alternatives": (r"^(a|b)/[^/]+$", ["a/*", "b/*"]),
    "everything": (".*", ["**"]),
    "inside": ("/x$", ["**/x"]),
    "anywhere": ("team", ["*team*", "*team*/**", "**/*team*", "**/*team*/**"]),
    "optional": (r"^(team/)?x$", ["x", "team/x"]),
    "counted": (r"^a{2,3}$", ["aa", "aaa"]),
    "reluctant": (r"^a.*?$", ["a*", "a*/**"]),
    "a named group": (r"^(?P<x>a)(?:b)$", ["ab"]),
    "an escape": (r"^a\.b$", ["a.b"]),
    "without case": ("(?i)^TEAM$", ["team"]),
    "literal braces": ("^a{x$", []),
    "other anchors": (r"\Aa\z", ["a"]),
    "a named class": (r"^x[[:digit:]]{0}$", ["x"]),
    "classes in a class": (r"^x[\d\-]y$", [f"x{one}y" for one in "-0123456789"]),
    "a class without case": (r"(?i)^[AB]$", ["a", "b"]),
    "digits": (r"^v\d$", [f"v{one}" for one in "0123456789"]),
    "other characters": (r"^a\W$", []),
    "a literal bracket": (r"^[]a]$", ["a"]),
    "at least one and then any": ("^a/.+.*$", ["a/**"]),
    "any and then at least one": ("^a/.*.+$", ["a/**"]),
    "at least two": ("^a/.+.+$", []),
    "a dash at the end": (r"^x[a-]y$", ["x-y", "xay"]),
}


@pytest.mark.parametrize(("text", "expected"), REGEXES.values(), ids=REGEXES)
def test_regular_expressions(text: str, expected: list[str]) -> None:
    """Found anywhere in the name, unless anchors say otherwise."""
    names = regex_names(text, anchored=False)
    assert ([shape.pattern for shape in names.shapes], names.inexact) == (expected, "")


def test_a_class_is_everything_but_other_characters() -> None:
    """Exceptions say which."""
    assert regex_names(r"^team/[a-z0-9-]+$", anchored=False).shapes == (NameShape("team/*", ("team/*.*", "team/*_*")),)


def test_at_least_one_character() -> None:
    """The text without any is an exception."""
    assert regex_names(r"^team.+$", anchored=False).shapes == (NameShape("team*", ("team",)), NameShape("team*/**"))


INEXPRESSIBLE = {
    "a group without end": "(ab)*",
    "a repetition of one": "a**",
    "an anchor in the middle": "a^b",
    "a word boundary": r"\bteam",
    "flags": "(?s)a",
    "many repetitions": "a{99}",
    "an open group": "(a",
    "a closed group": "a)",
    "an open class": "[a",
    "an unusual class": "[[:graph:]]",
    "a reversed range": "[z-a]",
    "a class in a class": r"[\pL]",
    "a repetition of nothing": "+a",
    "an open name": "(?P<a",
    "nested groups": "(" * 30 + "a" + ")" * 30,
    "many alternatives": "(a|b)" * 12,
    "an unusual escape": r"a\pL",
    "an escape in a class that is none": "[\\",
    "no range with a class": r"[a-\d]",
    "a long text": "a" * 600,
    "many crossings": ".*a.*a.*a.*a.*a.*",
}


@pytest.mark.parametrize("text", INEXPRESSIBLE.values(), ids=INEXPRESSIBLE)
def test_what_has_no_form(text: str) -> None:
    """It covers nothing for sure, and perhaps everything."""
    names = regex_names(text, anchored=False)
    assert (names.shapes, names.widest) == ((), ("**",))
    assert names.inexact


NARROWER = {
    "unescaped dots": ("^a.b.c$", ["a.b.c"]),
    "a class with a slash": ("^a/[a-z/]+$", ["a/*"]),
    "too many characters": ("^[a-z][a-z]$", []),
    "a class beside a variable": ("^\ue000-[a-z]+$", []),
    "runs of different characters": ("^a/[0-9]*[a-z]*$", ["a/*"]),
    "too many exceptions": ("^[0-4]+-[5-9]+$", []),
}


@pytest.mark.parametrize(("text", "expected"), NARROWER.values(), ids=NARROWER)
def test_narrower_readings(text: str, expected: list[str]) -> None:
    """What is likely to be meant, and never more than that; with the reason."""
    names = regex_names(text, anchored=False)
    assert [shape.pattern for shape in names.shapes] == expected
    assert names.inexact
    assert names.widest


@given(st.text(max_size=12))
def test_quoted_text_is_itself(text: str) -> None:
    """As a glob."""
    assert text_matches(quoted(text), text, ())


_PIECES = [
    "a",
    "b",
    "/",
    ".",
    "-",
    ".*",
    "[^/]+",
    "[^/]*",
    "(a|b)",
    "[ab]",
    "a?",
    ".+",
    "[a-z]+",
    "x{2}",
    "^",
    "$",
    "|",
    r"\.",
]
_NAMES = st.lists(st.sampled_from(["a", "b", "/", "-", ".", "x"]), min_size=1, max_size=7).map("".join)


def _check(pattern: str, names: NameSet, name: str) -> None:
    is_matched = text_matches(pattern, name, ())
    is_covered = any(_has(shape, name) for shape in names.shapes)
    assert is_matched or not is_covered, "covers more than the original"
    assert not is_matched or any(_covers(one, name) for one in names.widest), "the widest reading is too narrow"
    assert names.inexact or is_matched == is_covered, "is exact, and differs"


@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join), _NAMES.filter(is_repository_name))
def test_regular_expressions_against_docker_auth(text: str, name: str) -> None:
    """Shapes cover what docker_auth finds; where they say so, less, and never more."""
    if len(text) > 0 and "*+" not in text:
        _check(f"/{text}/", regex_names(text, anchored=False), name)


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "?", "[ab]", "[^a]", "-", "."]), min_size=1, max_size=6).map("".join),
    _NAMES.filter(is_repository_name),
)
def test_globs_against_docker_auth(text: str, name: str) -> None:
    """The same for globs."""
    if not (len(text) > 2 and text[0] == text[-1] == "/"):
        _check(text, glob_names(text), name)
