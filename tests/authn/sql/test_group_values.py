"""Groups as databases keep them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.sql.group_values import MAX_GROUPS, UnreadableGroups, groups_in, groups_of_labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, []),
        ("", []),
        ("null", []),
        ("  ", []),
        ("dev", ["dev"]),
        ("dev ops", ["dev", "ops"]),
        ("dev,ops , team one,", ["dev", "ops", "team one"]),
        ('["dev", "team, one"]', ["dev", "team, one"]),
        ("[]", []),
        ('"dev,ops"', ["dev", "ops"]),
        ('""', []),
        (r'"[\"dev\"]"', ["dev"]),
        ("dev=1", ["dev=1"]),
    ],
)
def test_lists(text: str | None, expected: list[str]) -> None:
    """JSON, commas, blanks; and a JSON text is what it holds, since PostgreSQL sends text columns like that."""
    assert sorted(groups_in(text)) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "is no JSON"),
        ("[1]", "has a name that is no text"),
        ('{"a": ["b"]}', "is JSON, but no list"),
        ('["a", "a b ", "c"]', "has a name that is empty"),
        ('["a\\u0000b"]', "has a name that is empty"),
        ('[" "]', "has a name that is empty"),
        ("dev\0,x", "has a name that is empty"),
        ("x" * 256, "has a name of more than"),
        ("[" * 100_000, "is no JSON"),
        (",".join(map(str, range(MAX_GROUPS + 1))), "has more than 1000 names"),
    ],
)
def test_unreadable(text: str, problem: str) -> None:
    """Nothing is dropped."""
    with pytest.raises(UnreadableGroups, match=f"^{problem}"):
        groups_in(text)


@pytest.mark.parametrize(
    ("text", "plain", "expected"),
    [
        (None, [], []),
        ("", [], []),
        ("null", [], []),
        ("{}", [], []),
        ('{"team": ["dev", "ops"], "project": ["web"]}', [], ["project=web", "team=dev", "team=ops"]),
        ('{"team": ["dev", "ops"], "project": ["web"]}', ["project"], ["team=dev", "team=ops", "web"]),
        ('{"team": null, "group": []}', [], []),
        ('{"group": ["admin"]}', [], ["group=admin"]),
    ],
)
def test_labels(text: str | None, plain: list[str], expected: list[str]) -> None:
    """`LABEL=VALUE`, or the value alone."""
    assert sorted(groups_of_labels(text, plain)) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "is no JSON object"),
        ('{"a": "b"}', "has a label whose value is no list"),
        ('{"a": [1]}', "has a name that is no text"),
        ('{"a": ["b"], "a": ["c"]}', "has a label twice"),
        ("{", "is no JSON"),
        ('{"a": ["x\\n"]}', "has a name that is empty"),
    ],
)
def test_unreadable_labels(text: str, problem: str) -> None:
    """Nothing is dropped."""
    with pytest.raises(UnreadableGroups, match=f"^{problem}"):
        groups_of_labels(text, ())


@given(st.text(max_size=60) | st.from_regex(r'[\[{"]?[ab",\[\]{}:\\ ]{0,20}'))
def test_any_text(text: str) -> None:
    """Groups with names, or an error that repeats nothing."""
    try:
        found = groups_in(text)
    except UnreadableGroups:
        return
    assert all(name.isprintable() and name == name.strip() and name for name in found)


@given(st.sets(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20), max_size=5))
def test_json_is_exact(names: set[str]) -> None:
    """A JSON list gives its names letter by letter, also inside of a JSON text."""
    text = json.dumps(sorted(names))
    assert groups_in(text) == groups_in(json.dumps(text)) == names
