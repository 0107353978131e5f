"""Groups by `memberOf`: which values count, and under which names."""

from __future__ import annotations

import time

import pytest
from directory_entries import BASE, Nothing, directory, entry, in_entry
from rogue_directory import tagged, text

from tokenserver.authn.ldap.ber import SearchEntry, parse_message
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.groups.resolution import resolve


def test_groups_of_an_entry() -> None:
    """Short names in lower case: only below the base, of the right type and allowed, with any characters."""
    groups = GroupSettings(GroupsBy.MEMBEROF, f"ou=groups,{BASE}", allow=("reg-*",))
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
    groups = GroupSettings(GroupsBy.MEMBEROF, BASE)
    just = [f"cn=g{number},{BASE}" for number in range(MAX_GROUPS)]
    assert len(in_entry(entry(memberOf=just), groups)) == MAX_GROUPS
    for found in (entry(memberOf=[*just, f"cn=x,{BASE}"]), entry(f"cn=x,{BASE}", **{"memberOf;range=0-1499": just})):
        with pytest.raises(Refused, match="more than 1000 groups"):
            in_entry(found, groups)


def test_rules_of_freeipa_are_no_groups() -> None:
    """memberOf lists HBAC and sudo rules as well; in other directories such a DN is a group without a name."""
    found = SearchEntry(f"uid=ann,{BASE}", {"memberof": (f"ipaUniqueID=1,cn=hbac,{BASE}".encode(),)})
    for kind, lost in ((Primary.NUMBER, ()), (None, (f"ipaUniqueID=1,cn=hbac,{BASE}",))):
        groups = GroupSettings(GroupsBy.MEMBEROF, BASE, primary=kind)
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
        in_entry(message.body, GroupSettings(GroupsBy.MEMBEROF, BASE))
    assert time.process_time() - begin < 2
