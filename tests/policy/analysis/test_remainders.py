"""Remainders: compared with every short name."""

from __future__ import annotations

import pattern_languages as languages
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.patterns import Pattern, parse_pattern
from tokenserver.policy.analysis.remainders import Remainder, escape_remainders

remainders = st.builds(
    Remainder, languages.plain | languages.with_variables, st.lists(languages.plain, max_size=2).map(tuple)
)


@given(st.lists(remainders, max_size=3), st.lists(languages.plain, min_size=1, max_size=2))
def test_an_escape_is_what_no_remainder_has(outer: list[Remainder], inner: list[Pattern]) -> None:
    """If there is none, every name that all of `inner` cover is in one of them; a variable has no value there."""
    name = escape_remainders(outer, inner)
    if name is not None:
        assert all(languages.covers(one, name) for one in inner)
        assert not any(one.has_name(name.split("/"), None, ()) for one in outer)
    else:
        for one in languages.NAMES:
            if all(languages.covers(pattern, one) for pattern in inner):
                assert any(each.has_name(one.split("/"), None, ()) for each in outer)


@given(remainders, languages.with_variables)
def test_variables_have_the_same_value(outer: Remainder, inner: Pattern) -> None:
    """Without an escape, whoever has a name by the inner pattern has it by the remainder."""
    if escape_remainders([outer], [inner]) is None:
        for name in languages.NAMES:
            for user, group in languages.readings(inner, name):
                assert outer.has_name(name.split("/"), user or None, (group,))


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (["web/** web/prod/**"], "web/**", "web/prod/x"),
        (["web/** web/prod/**", "web/prod/**"], "web/**", None),
        (["web/** web/prod/**", "web/prod/** web/prod/x/**"], "web/**", "web/prod/x/x"),
        (["web/** web/prod/**", "**  web/app/**"], "web/**", None),
        (["web/** web/a/**", "** web/a/b web/c"], "web/**", "web/a/b"),
        (["lib/** lib/x"], "web/*", "web/x"),
        ([], "web/*", "web/x"),
    ],
)
def test_escape_remainders(outer: list[str], inner: str, expected: str | None) -> None:
    """Each text is a pattern and what is taken away from it."""
    made = [Remainder(one, tuple(without)) for one, *without in (map(parse_pattern, text.split()) for text in outer)]
    assert escape_remainders(made, [parse_pattern(inner)]) == expected
