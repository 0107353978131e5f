"""Variables inside segments and captures: every answer against trying all short names, users and groups."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from partial_languages import NAMES, WORDS, all_readings, partial
from pattern_languages import covers

from tokenserver.policy.analysis.containment import contains, covered_names, escape, escape_from, overlaps
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
    assert set(found) == all_readings(pattern, name)


clients = st.tuples(
    st.sampled_from(WORDS),
    st.frozensets(st.sampled_from(["a", "b", "ab", "a-b", "r-a", "a-w", "r-a-w", "aa", "a-a", "r-b", "b-a"]), max_size=2),
)


@settings(deadline=None)
@given(
    st.lists(partial, min_size=1, max_size=2),
    st.lists(partial, max_size=2),
    st.sampled_from(NAMES),
    clients,
    st.booleans(),
)
def test_covered_names_have_every_way(
    required: list[Pattern], others: list[Pattern], name: str, client: tuple[str, frozenset[str]], is_named: bool
) -> None:
    """For any client and name, some result is covered in the same way for a client of its own, or the same by name."""
    user, groups = client
    patterns = [*required, *others]

    def way(name: str, user: str, groups: frozenset[str]) -> frozenset[tuple[int, int]]:
        """The patterns that cover the name, with the number of groups for which they do."""
        found = {
            (place, group if is_named else "")
            for place, one in enumerate(patterns)
            for who, group in all_readings(one, name)
            if who in ("", user) and (not group or group in groups)
        }
        return frozenset(found)

    wanted = way(name, user, groups)
    if not all(any(place == at for at, _ in wanted) for place in range(len(required))):
        return
    named = (user, *groups) if is_named else ()
    try:
        found = [*covered_names(required, others, named)]
    except TooComplex:
        return
    for one in found:
        assert is_repository_name(one.name)
        for match in one.required | one.others:
            assert (match.user, match.group) in all_readings(patterns[match.place], one.name)
        assert len(one.required | one.others) == sum(len(all_readings(pattern, one.name)) for pattern in patterns)
    if is_named:
        assert any(way(one.name, user, groups) == wanted for one in found)
        return
    for one in found:
        matched = one.required | one.others
        teams = sorted({match.group for match in matched if match.group})
        for who in {match.user for match in matched} | {""}:
            for first, second in product(["", *teams], repeat=2):
                if way(one.name, who, frozenset({first, second} - {""})) == wanted:
                    return
    raise AssertionError(f"{sorted(wanted)} is no way of {[one.name for one in found]}")


def test_too_many_values() -> None:
    """placeholder of a table that follows."""
    assert escape([parse_pattern("web/**")], parse_pattern("web/${user}-x")) is None
