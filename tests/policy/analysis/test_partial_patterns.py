"""Variables inside segments and captures: every answer against trying all short names, users and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import NAMES, all_readings, partial, tried
from pattern_languages import covers

from tokenserver.policy.analysis.containment import (
    CoveredName,
    Match,
    contains,
    covered_names,
    escape,
    escape_from,
    overlaps,
)
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.patterns import Pattern, parse_pattern
from tokenserver.policy.variables.readings import readings
from tokenserver.scopes import is_repository_name


def escapes_for(name: str, inner: list[Pattern], outer: list[Pattern]) -> bool:
    """Whether all of `inner` and none of `outer` cover the name for one user and one group."""
    read = [all_readings(one, name) for one in inner]
    return any(
        all(any(who in ("", user) and team in ("", group) for who, team in found) for found in read)
        and not any(covers(one, name, user or None, group or None) for one in outer)
        for user in {who for found in read for who, _ in found if who} or {""}
        for group in {team for found in read for _, team in found if team} or {""}
    )


@settings(deadline=None)
@given(st.lists(partial, max_size=3), st.lists(partial, min_size=1, max_size=2))
def test_an_escape_agrees_with_trying(outer: list[Pattern], inner: list[Pattern]) -> None:
    """A name that is found escapes for somebody; where none is found, no short name does."""
    try:
        found = escape_from(outer, inner)
    except TooComplex:
        return
    if found is None:
        assert [name for name in NAMES if escapes_for(name, inner, outer)] == []
    else:
        assert is_repository_name(found)
        assert escapes_for(found, inner, outer)


@settings(deadline=None)
@given(st.lists(partial, max_size=3), partial)
def test_containment_agrees_with_trying(outer: list[Pattern], inner: Pattern) -> None:
    """Both ways to ask agree."""
    try:
        found = escape(outer, inner)
    except TooComplex:
        return
    assert contains(outer, inner) == (found is None)
    if found is None:
        assert [name for name in NAMES if escapes_for(name, [inner], outer)] == []
    else:
        assert escapes_for(found, [inner], outer)


@settings(deadline=None)
@given(partial, partial)
def test_overlap_agrees_with_trying(one: Pattern, other: Pattern) -> None:
    """The name lies in both, for a client each; without one, no short name does."""
    try:
        found = overlaps(one, other)
    except TooComplex:
        return
    if found is None:
        assert [name for name in NAMES if all_readings(one, name) and all_readings(other, name)] == []
    else:
        assert all_readings(one, found)
        assert all_readings(other, found)


@settings(deadline=None)
@given(partial, st.sampled_from(NAMES))
def test_readings_agree_with_trying(pattern: Pattern, name: str) -> None:
    """Every user and every group for which the pattern covers the name, each once."""
    found = [*readings(pattern, name.split("/"))]
    assert set(found) == {*tried(pattern, name)}


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[Pattern], list[Pattern], str, str, frozenset[str]]:
    """Patterns, others, a name that the first ones cover, and a client for whom some of them do."""
    required = draw(st.lists(partial, min_size=1, max_size=2))
    others = draw(st.lists(partial, max_size=3))
    names = [name for name in NAMES if all(all_readings(one, name) for one in required)]
    name = draw(st.sampled_from(names or ["a"]))
    read = sorted({found for one in (*required, *others) for found in all_readings(one, name)})
    user = draw(st.sampled_from(sorted({who for who, _ in read} | {"b"}))) or "b"
    groups = draw(st.frozensets(st.sampled_from(sorted({team for _, team in read if team} | {"b"})), max_size=3))
    return required, others, name, user, groups


@settings(deadline=None)
@given(asked(), st.booleans())
def test_covered_names_have_every_way(
    case: tuple[list[Pattern], list[Pattern], str, str, frozenset[str]], is_named: bool
) -> None:
    """For any client and name, some result is covered in the same way for a client of its own, or the same by name."""
    required, others, name, user, groups = case
    patterns = [*required, *others]

    def way(name: str, user: str, groups: frozenset[str]) -> frozenset[tuple[int, str]]:
        """The patterns that cover the name, by name with the groups for which they do."""
        return frozenset(
            (place, group if is_named else "")
            for place, one in enumerate(patterns)
            for who, group in all_readings(one, name)
            if who in ("", user) and (not group or group in groups)
        )

    wanted = way(name, user, groups)
    if not {place for place, _ in wanted} >= set(range(len(required))):
        return
    named = (user, *groups) if is_named else ()
    try:
        found = [*covered_names(required, others, named)]
    except TooComplex:
        return
    assert [len(one.name) for one in found] == sorted(len(one.name) for one in found)
    for one in found:
        assert is_repository_name(one.name)
        assert {match.place for match in one.required} == set(range(len(required)))
        assert one.required | one.others == {
            Match(place, *pair) for place, pattern in enumerate(patterns) for pair in all_readings(pattern, one.name)
        }
    assert any(wanted in ways(one, user, groups, way, is_named=is_named) for one in found)


def ways(
    found: CoveredName,
    user: str,
    groups: frozenset[str],
    way: Callable[[str, str, frozenset[str]], frozenset[tuple[int, str]]],
    *,
    is_named: bool,
) -> Iterator[frozenset[tuple[int, str]]]:
    """How a name that was found is covered: for the client itself, or for any with at most three groups."""
    if is_named:
        yield way(found.name, user, groups)
        return
    matched = found.required | found.others
    teams = sorted({match.group for match in matched if match.group})
    for who in {match.user for match in matched} | {""}:
        for count in range(4):
            for chosen in combinations(teams, count):
                yield way(found.name, who, frozenset(chosen))


def test_too_many_values() -> None:
    """placeholder of a table that follows."""
    assert escape([parse_pattern("web/**")], parse_pattern("web/${user}-x")) is None
