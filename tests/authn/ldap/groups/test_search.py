"""Paged searches for the groups of one user: complete, or an error."""

from __future__ import annotations

from dataclasses import replace

import pytest
from directory_entries import BASE, USER_SID, account, directory, entry
from scripted_connection import ScriptedConnection, answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.groups.search import CutOff, GroupSearch, key_of, keyed

WEB, DATA = (SearchEntry(f"cn={name},ou=groups,{BASE}", {"cn": (name.encode(),)}) for name in ("web", "data"))
MANY = tuple(SearchEntry(f"cn=g{number},{BASE}", {}) for number in range(MAX_GROUPS))
DOMAIN_USERS = SearchEntry(f"cn=users,{BASE}", {"objectsid": (USER_SID[:-4] + (513).to_bytes(4, "little"),)})


def search(
    *answers: Found, by_primary: Primary | None = None, of: SearchEntry | None = None
) -> tuple[GroupSearch, ScriptedConnection]:
    """A search that gets these answers, for ann unless it is for another entry."""
    connection, script = scripted(*answers)
    groups = GroupSettings(GroupsBy.MEMBER, (f"ou=groups,{BASE}",), primary=by_primary)
    return GroupSearch(connection, of or entry(), directory(groups=groups), groups, Deadline(5)), script


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([answer()], [], id="none"),
        pytest.param([answer(WEB, DATA)], [WEB, DATA], id="one page"),
        pytest.param([answer(WEB, cookie=b"1"), answer(DATA)], [WEB, DATA], id="two pages"),
        pytest.param([answer(code=12), answer(WEB)], [WEB], id="a server without paging"),
        pytest.param([answer(code=53), answer(WEB)], [WEB], id="a server that is unwilling to page"),
        pytest.param([answer(*MANY)], [*MANY], id="just as many as allowed"),
    ],
)
def test_all_entries(answers: list[Found], expected: list[SearchEntry]) -> None:
    """The entries of all pages, in the directory's order; without paging, those of one whole answer."""
    one, script = search(*answers)
    assert one.entries("(member=x)") == expected
    assert script.filters == ["(member=x)"] * len(answers)


OUTSIDE = SearchEntry(f"cn=web,ou=more,{BASE}", {"cn": (b"web",)})


def below_two(*answers: Found) -> tuple[GroupSearch, ScriptedConnection]:
    """A search below two bases that gets these answers."""
    one, script = search(*answers)
    one.groups = replace(one.groups, bases=(*one.groups.bases, f"ou=more,{BASE}"))
    return one, script


def test_several_bases() -> None:
    """Each is searched in all its pages, and the page that was requested already is that of the first."""
    one, script = below_two(answer(WEB, cookie=b"1"), answer(DATA), answer(OUTSIDE))
    assert one.entries("(member=x)", asked=one.ask("(member=x)")) == [WEB, DATA, OUTSIDE]
    first, second = one.groups.bases
    assert [(asked[0], asked[3]) for asked in script.asked] == [(first, b""), (first, b"1"), (second, b"")]


def test_one_base_among_several() -> None:
    """A base given for this search is the only one."""
    one, script = below_two(answer(WEB))
    assert one.entries("(member=x)", base=BASE) == [WEB]
    assert [asked[0] for asked in script.asked] == [BASE]


def test_a_missing_base_among_several() -> None:
    """A group below it may be one that is denied, so the whole search fails, unless it may be hidden."""
    with pytest.raises(ConnectionFailed, match="the base does not exist"):
        below_two(answer(WEB), answer(code=32))[0].entries("(member=x)")
    assert below_two(answer(code=32), answer(OUTSIDE))[0].entries("(member=x)", may_be_hidden=True) == [OUTSIDE]


def test_too_many_below_several_bases() -> None:
    """The limit is that of a user, not of a base."""
    with pytest.raises(Refused, match="more than 1000 groups"):
        below_two(answer(*MANY), answer(OUTSIDE))[0].entries("(member=x)")


@pytest.mark.parametrize(
    ("answers", "error", "reason"),
    [
        pytest.param([answer(*MANY, WEB)], Refused, "more than 1000 groups", id="too many"),
        pytest.param([answer(*MANY, cookie=b"1"), answer(WEB)], Refused, "more than 1000 groups", id="on two pages"),
        pytest.param([answer(WEB, code=4)], CutOff, "no more than 1 groups of the user .the directory's size", id="4"),
        pytest.param([answer(code=11), answer(WEB, code=11)], CutOff, "no more than 1 groups", id="11, not paged"),
        pytest.param([answer(WEB, cookie=b"1"), answer(code=11)], CutOff, "no more than 1 groups", id="11, page two"),
        pytest.param([answer(code=32)], ConnectionFailed, "the base does not exist", id="hidden"),
        pytest.param([answer(WEB, code=51)], ConnectionFailed, "the directory is busy", id="busy"),
    ],
)
def test_a_part_is_an_error(answers: list[Found], error: type[Exception], reason: str) -> None:
    """What the directory does not return completely is never taken for all groups: deny rules need all."""
    with pytest.raises(error, match=reason):
        search(*answers)[0].entries("(member=x)")


@pytest.mark.parametrize("code", [32, 50])
def test_a_base_that_may_be_hidden(code: int) -> None:
    """Where the caller says so, a base that the account may not read has no entries."""
    assert search(answer(code=code))[0].entries("(member=x)", may_be_hidden=True) == []


def test_cut_off_says_what_to_raise() -> None:
    """The advice names the limit of each kind of directory, and the way around it."""
    with pytest.raises(CutOff) as caught:
        search(answer(code=4))[0].entries("(member=x)")
    assert "size=unlimited" in caught.value.failure.fix
    assert "by: memberof" in caught.value.failure.fix


@pytest.mark.parametrize(
    ("kind", "of", "found", "answers", "expected", "omitted"),
    [
        pytest.param(None, entry(), [WEB], [], None, [], id="a directory without primary groups"),
        pytest.param(Primary.SID, entry(), [WEB], [], None, [], id="an entry that is no account"),
        pytest.param(Primary.SID, account(), [WEB, DOMAIN_USERS], [], DOMAIN_USERS, [], id="among those found"),
        pytest.param(Primary.SID, account(), [WEB], [answer(DOMAIN_USERS)], DOMAIN_USERS, [], id="outside the base"),
        pytest.param(Primary.SID, account(), [], [answer()], None, ["not found"], id="nowhere"),
        pytest.param(Primary.SID, account(), [], [answer(code=50)], None, ["not found"], id="hidden"),
        pytest.param(
            Primary.SID,
            account(objectsid=()),
            [DOMAIN_USERS],
            [],
            None,
            ["the attributes that identify it cannot be read"],
            id="unreadable",
        ),
        pytest.param(Primary.NUMBER, entry(gidNumber="7"), [WEB], [], None, [], id="of a number, below another base"),
        pytest.param(
            Primary.NUMBER,
            entry(gidNumber="7"),
            [SearchEntry("cn=ann", {"gidnumber": (b"7",), "objectclass": (b"mepManagedEntry",)})],
            [],
            None,
            [],
            id="a private group",
        ),
    ],
)
def test_the_primary_group(
    kind: Primary | None,
    of: SearchEntry,
    found: list[SearchEntry],
    answers: list[Found],
    expected: SearchEntry | None,
    omitted: list[str],
) -> None:
    """The one that the user's entry names; a group that is named and not found is reported as omitted."""
    one, script = search(*answers, by_primary=kind, of=of)
    assert one.primary(found) == expected
    assert [group.reason for group in one.omitted] == omitted
    assert [asked[0] for asked in script.asked] == [BASE] * len(answers)


def test_keys() -> None:
    """Two spellings of one DN have one key; a text that is no DN is its own."""
    assert key_of(f"CN=Web, OU=Groups,{BASE}") == keyed(WEB)[0]
    assert key_of("no DN") == "no DN"
    assert keyed(WEB)[1] is WEB
