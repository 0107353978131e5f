"""Group names in policies, checked against a directory."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from directory_entries import BASE, directory
from hypothesis import given
from hypothesis import strategies as st
from scripted_connection import ScriptedConnection, answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings
from tokenserver.authn.ldap.dn import escape_value
from tokenserver.authn.ldap.filters import check_filter
from tokenserver.authn.ldap.groups.lookup import MAX_REPORTED, any_group, group_problem, unnameable_groups
from tokenserver.authn.ldap.listing import MAX_PAGES


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(GroupSettings(GroupsBy.POSIX, (BASE,)), "(objectClass=posixGroup)", id="posix"),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (BASE,)),
            "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(member=*)(uniqueMember=*))",
            id="member",
        ),
    ],
)
def test_the_filter_for_groups_in_lint(groups: GroupSettings, expected: str) -> None:
    """It finds no group that a login would not find."""
    assert any_group(groups) == expected


GROUPS = GroupSettings(GroupsBy.MEMBER, (f"ou=groups,{BASE}",))


def group(*names: str, dn: str = "") -> SearchEntry:
    """An entry of a group with these names."""
    return SearchEntry(dn or f"cn={names[0]},ou=groups,{BASE}", {"cn": tuple(map(str.encode, names))})


@pytest.mark.parametrize(
    ("found", "name", "expected"),
    [
        pytest.param([group("web")], "web", None, id="there"),
        pytest.param([group("Web")], "web", None, id="there, in the directory's case"),
        pytest.param([], "web", "is not in the directory", id="missing"),
        pytest.param([group("other")], "web", "is not in the directory", id="another"),
        pytest.param(
            [group("web")], "WEB", "must be spelled 'web': the directory ignores case in names", id="another case"
        ),
        pytest.param(
            [group("a b")],
            "a  b",
            "must be spelled 'a b': the directory ignores blanks and width in names",
            id="another blank",
        ),
        pytest.param([group("x", dn=f"cn=x,{BASE}")], "x", "is not in the directory", id="outside the base"),
        pytest.param(
            [SearchEntry(f"ou=x,ou=groups,{BASE}", {})],
            "x",
            "cannot be used in policies: it has no readable cn",
            id="no readable name",
        ),
    ],
)
def test_group_problem(found: list[SearchEntry], name: str, expected: str | None) -> None:
    """The reason says what to write instead, where there is something."""
    connection, _ = scripted(answer(*found))
    assert group_problem(directory(), GROUPS, name, connection, Deadline(5)) == expected


def test_a_group_that_the_allow_list_excludes() -> None:
    """It exists, but no user's login will bring it; the list applies to the name without the prefix."""
    groups = replace(GROUPS, allow=("reg-*",), prefix="corp/")
    for short, expected in (("web", "is excluded by groups.allow"), ("reg-web", None)):
        connection, script = scripted(answer(group(short)))
        assert group_problem(directory(), groups, f"corp/{short}", connection, Deadline(5)) == expected
        assert script.filters == [f"(&(cn={escape_value(short.encode())}){any_group(groups)})"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_name_is_one_value_of_the_search(name: str) -> None:
    """Whatever characters the name in the policy has, it adds no condition to the filter, and gets an answer."""
    connection, script = scripted(answer())
    assert group_problem(directory(), GROUPS, name, connection, Deadline(5)) == "is not in the directory"
    check_filter(script.filters[0])
    assert script.filters[0].count("(") == any_group(GROUPS).count("(") + 2


NAMELESS = SearchEntry(f"ou=x,ou=groups,{BASE}", {})


@pytest.mark.parametrize(
    ("answers", "count", "is_complete"),
    [
        pytest.param([answer(group("web"))], 0, True, id="all have names"),
        pytest.param([answer(NAMELESS, cookie=b"1"), answer(group("web"), NAMELESS)], 2, True, id="two pages"),
        pytest.param([answer(code=12), answer(NAMELESS)], 1, True, id="a server without paging"),
        pytest.param([answer(NAMELESS, code=4)], 1, False, id="cut off"),
        pytest.param([answer(*[NAMELESS] * (MAX_REPORTED + 1))], MAX_REPORTED, False, id="more than are listed"),
    ],
)
def test_unnameable_groups(answers: list[Found], count: int, is_complete: bool) -> None:
    """Every group that a login would omit, up to a number; and whether that is all of them."""
    connection, _ = scripted(*answers)
    found, is_all = unnameable_groups(directory(), GROUPS, connection, Deadline(5))
    assert ([one.reason for one in found], is_all) == (["it has no readable cn"] * count, is_complete)


TWO_BASES = replace(GROUPS, bases=(f"ou=groups,{BASE}", f"ou=more,{BASE}"))


@pytest.mark.parametrize(
    ("answers", "count", "is_complete"),
    [
        pytest.param([answer(NAMELESS), answer(NAMELESS)], 2, True, id="both"),
        pytest.param([answer(NAMELESS, code=4), answer(NAMELESS)], 2, False, id="the first is cut off"),
        pytest.param([answer(*[NAMELESS] * MAX_REPORTED), answer(NAMELESS)], MAX_REPORTED, False, id="too many"),
    ],
)
def test_unnameable_groups_below_several_bases(answers: list[Found], count: int, is_complete: bool) -> None:
    """Those below all of them, up to the same number."""
    connection, script = scripted(*answers)
    found, is_all = unnameable_groups(directory(), TWO_BASES, connection, Deadline(5))
    assert (len(found), is_all) == (count, is_complete)
    assert [asked[0] for asked in script.asked] == [*TWO_BASES.bases]


def test_a_group_below_the_second_base() -> None:
    """It is found there, too."""
    connection, script = scripted(answer(), answer(group("web", dn=f"cn=web,ou=more,{BASE}")))
    assert group_problem(directory(), TWO_BASES, "web", connection, Deadline(5)) is None
    assert [asked[0] for asked in script.asked] == [*TWO_BASES.bases]


def test_a_directory_of_endless_groups() -> None:
    """After a number of pages the list is what was found, and incomplete."""
    made = ScriptedConnection(itertools.repeat(answer(cookie=b"more")))
    assert unnameable_groups(directory(), GROUPS, made, Deadline(5)) == ((), False)  # type: ignore[arg-type]  # a fake
    assert len(made.asked) == MAX_PAGES


def test_a_directory_that_cannot_answer() -> None:
    """An error is no empty list."""
    connection, _ = scripted(answer(code=51), answer(code=51))
    with pytest.raises(ConnectionFailed, match="busy"):
        unnameable_groups(directory(), GROUPS, connection, Deadline(5))
    with pytest.raises(ConnectionFailed, match="busy"):
        group_problem(directory(), GROUPS, "web", connection, Deadline(5))
