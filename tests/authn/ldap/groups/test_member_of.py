"""Groups by `memberOf`: which values count, and under which names."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from directory_entries import BASE, Nothing, directory, entry, in_entry
from rogue_directory import tagged, text
from scripted_connection import ScriptedConnection, answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry, parse_message
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.groups.member_of import Groups, groups_in_entry
from tokenserver.authn.ldap.groups.resolution import resolve
from tokenserver.authn.ldap.groups.search import CutOff, GroupSearch


def test_groups_of_an_entry() -> None:
    """Short names in lower case: only below the base, of the right type and allowed, with any characters."""
    groups = GroupSettings(GroupsBy.MEMBEROF, (f"ou=groups,{BASE}",), allow=("reg-*",))
    dns = [
        f"CN=Reg-Web,OU=Groups,{BASE}",
        f"cn=reg-data,ou=deep,ou=groups,{BASE}",
        f"cn=reg-evil,ou=people,{BASE}",
        f"cn=other,ou=groups,{BASE}",
        f"ou=reg-x,ou=groups,{BASE}",
        f"cn=reg-$,ou=groups,{BASE}",
        "reg-web",
    ]
    assert in_entry(entry(memberOf=dns), groups) == {"reg-web", "reg-data", "reg-$"}


def test_too_many_groups() -> None:
    """One more than the limit, or a list truncated by the directory, is rejected."""
    groups = GroupSettings(GroupsBy.MEMBEROF, (BASE,))
    just = [f"cn=g{number},{BASE}" for number in range(MAX_GROUPS)]
    assert len(in_entry(entry(memberOf=just), groups)) == MAX_GROUPS
    for found in (entry(memberOf=[*just, f"cn=x,{BASE}"]), entry(f"cn=x,{BASE}", **{"memberOf;range=0-1499": just})):
        with pytest.raises(Refused, match="more than 1000 groups"):
            in_entry(found, groups)


def test_rules_of_freeipa_are_no_groups() -> None:
    """memberOf lists HBAC and sudo rules as well; in other directories such a DN is a group without a name."""
    found = SearchEntry(f"uid=ann,{BASE}", {"memberof": (f"ipaUniqueID=1,cn=hbac,{BASE}".encode(),)})
    for kind, lost in ((Primary.NUMBER, ()), (None, (f"ipaUniqueID=1,cn=hbac,{BASE}",))):
        groups = GroupSettings(GroupsBy.MEMBEROF, (BASE,), primary=kind)
        resolved = resolve(Nothing(), None, found, directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
        assert (resolved.names, resolved.lost) == (frozenset(), lost)


def test_fifty_thousand_groups() -> None:
    """An answer with too many values is rejected quickly, and nothing of it is kept.

    See docs/design/threats.md#fault-9.
    """
    values = b"".join(text(f"cn=group-{number},ou=groups,{BASE}".encode()) for number in range(50_000))
    attribute = tagged(0x30, text(b"memberOf") + tagged(0x31, values))
    answer = tagged(0x30, b"\x02\x01\x01" + tagged(0x64, text(b"uid=ann") + tagged(0x30, attribute)))
    begin = time.process_time()
    message = parse_message(answer)
    assert isinstance(message.body, SearchEntry)
    with pytest.raises(Refused, match="more than 1000 groups"):
        in_entry(message.body, GroupSettings(GroupsBy.MEMBEROF, (BASE,)))
    assert time.process_time() - begin < 2


MEMBER_OF = GroupSettings(GroupsBy.MEMBEROF, (f"ou=groups,{BASE}",))


def group(name: str, *aliases: str, **more: tuple[bytes, ...]) -> SearchEntry:
    """The entry of a group."""
    return SearchEntry(f"cn={name},ou=groups,{BASE}", {"cn": tuple(map(str.encode, (name, *aliases))), **more})


def search_for(of: SearchEntry, groups: GroupSettings, *answers: Found) -> tuple[GroupSearch, ScriptedConnection]:
    """The search for the groups of an entry, which gets these answers."""
    connection, script = scripted(*answers)
    return GroupSearch(connection, of, directory(groups=groups), groups, Deadline(5)), script


def names(found: Groups) -> dict[str, tuple[bytes, ...]]:
    """The names by DN."""
    return dict(found.values())


def test_a_group_has_all_names_of_its_entry() -> None:
    """A deny rule may use another name than the one in the DN; an entry that only shares a name does not count."""
    web = f"CN=Web,ou=groups,{BASE}"
    other = SearchEntry(f"cn=web,ou=other,ou=groups,{BASE}", {"cn": (b"web", b"evil")})
    search, script = search_for(entry(memberOf=[web]), MEMBER_OF, answer(group("web", "frontend"), other))
    assert names(groups_in_entry(search)) == {web: (b"web", b"frontend")}
    assert script.filters == ["(|(cn=Web))"]


def test_a_component_of_several_attributes() -> None:
    """The search names all of them; a text that is no DN is not searched for, and stays without a name."""
    dns = [f"cn=a+ou=b,ou=groups,{BASE}", "nonsense", ""]
    search, script = search_for(entry(memberOf=dns), MEMBER_OF, answer())
    assert names(groups_in_entry(search)) == dict.fromkeys(dns, ())
    assert script.filters == ["(|(&(cn=a)(ou=b)))"]


def test_a_dn_that_is_not_text() -> None:
    """It is reported as a group without a name, so that the identity is incomplete."""
    search, _ = search_for(SearchEntry(f"uid=ann,{BASE}", {"memberof": (b"cn=\xff",)}), MEMBER_OF)
    assert groups_in_entry(search) == {}
    assert [(one.name, one.reason) for one in search.omitted] == [(None, "its DN is not UTF-8")]


def test_a_directory_with_a_small_limit() -> None:
    """A search that is cut off is halved until it is answered; a single group that is cut off is an error."""
    dns = [f"cn=g{number},ou=groups,{BASE}" for number in range(4)]
    cut, rest = answer(group("x"), code=4), [answer(group(f"g{number}", "y")) for number in (3, 2)]
    search, script = search_for(entry(memberOf=dns), MEMBER_OF, cut, cut, *rest, answer(group("g0"), group("g1")))
    assert set(names(groups_in_entry(search)).values()) == {(b"g0",), (b"g1",), (b"g2", b"y"), (b"g3", b"y")}
    assert [one.count("cn=") for one in script.filters] == [4, 2, 1, 1, 2]
    search, _ = search_for(entry(memberOf=dns[:1]), MEMBER_OF, cut)
    with pytest.raises(CutOff):
        groups_in_entry(search)


def test_the_primary_group_and_the_groups_that_it_is_in() -> None:
    """FreeIPA: the primary group by its number, and the groups in its own memberOf, with their names."""
    groups = replace(MEMBER_OF, primary=Primary.NUMBER)
    staff = group("staff", gidnumber=(b"7",), memberof=(f"cn=all,ou=groups,{BASE}".encode(),))
    search, script = search_for(entry(gidNumber="7"), groups, answer(staff), answer(group("all", "everybody")))
    assert set(names(groups_in_entry(search)).values()) == {(b"staff",), (b"all", b"everybody")}
    assert script.filters == ["(|(&(objectClass=posixGroup)(|(gidNumber=7))))", "(|(cn=all))"]
