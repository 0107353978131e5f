"""The primary group of a user."""

from __future__ import annotations

from typing import Any

import pytest
from directory_entries import BASE, USER_SID, Nothing, account, directory, entry, in_entry
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.groups.primary import Unreadable, domain_of, filter_for, is_primary, is_private
from tokenserver.authn.ldap.groups.resolution import resolve


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"objectsid": ()}, id="no SID"),
        pytest.param({"primarygroupid": ()}, id="no number"),
        pytest.param({"primarygroupid": (b"x",)}, id="no such number"),
        pytest.param({"primarygroupid": (b"4294967296",)}, id="a number too large"),
        pytest.param({"primarygroupid": (b"9" * 5000,)}, id="a number beyond what Python converts"),
        pytest.param({"objectsid": (USER_SID[:-1],)}, id="a SID that was cut"),
        pytest.param({"objectsid": (b"\1\0",)}, id="a SID without an end"),
        pytest.param({"objectsid": (USER_SID, USER_SID)}, id="two SIDs"),
    ],
)
def test_an_unreadable_primary_group_is_lost(more: dict[str, Any]) -> None:
    """An account whose primary group cannot be identified may be in any group."""
    groups = GroupSettings(GroupsBy.MEMBEROF, (BASE,), primary=Primary.SID)
    found = resolve(Nothing(), None, account(**more), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert found.lost == (f"the primary group of cn=ann,{BASE}",)
    known = resolve(Nothing(), None, account(), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert [one.reason for one in known.omitted] == ["not found"]


def test_no_primary_group() -> None:
    """An entry of another kind of directory has none, and nothing is lost."""
    groups = GroupSettings(GroupsBy.MEMBEROF, (BASE,), primary=Primary.SID)
    assert in_entry(entry(), groups) == frozenset()


@pytest.mark.parametrize(
    ("entry", "kind", "expected"),
    [
        pytest.param(account(), None, None, id="a directory without primary groups"),
        pytest.param(
            account(),
            Primary.SID,
            r"(objectSid=\01\05\00\00\00\00\00\05\15\00\00\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\01\02\00\00)",
            id="the user's SID with the group's number",
        ),
        pytest.param(entry(), Primary.SID, None, id="no account of Active Directory"),
        pytest.param(
            entry(gidNumber=["7", "8"]),
            Primary.NUMBER,
            "(&(objectClass=posixGroup)(|(gidNumber=7)(gidNumber=8)))",
            id="numbers",
        ),
        pytest.param(entry(gidNumber=["x", "7)", "\u0667", ""]), Primary.NUMBER, None, id="no numbers"),
    ],
)
def test_filter_for(entry: SearchEntry, kind: Primary | None, expected: str | None) -> None:
    """The filter holds nothing from the entry but numbers and escaped bytes."""
    assert filter_for(entry, kind) == expected


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [
        pytest.param({"objectsid": (USER_SID[:-4] + b"\1\2\0\0",)}, Primary.SID, True, id="this SID"),
        pytest.param({"objectsid": (USER_SID,)}, Primary.SID, False, id="the user's own SID"),
        pytest.param({}, Primary.SID, False, id="no SID"),
        pytest.param({"gidnumber": (b"7",)}, Primary.NUMBER, True, id="this number"),
        pytest.param({"gidnumber": (b"77",)}, Primary.NUMBER, False, id="another number"),
        pytest.param({}, Primary.NUMBER, False, id="no number"),
    ],
)
def test_is_primary(group: dict[str, tuple[bytes, ...]], kind: Primary, expected: bool) -> None:
    """A group is the primary one if it has what the user's entry names."""
    user = account(gidnumber=(b"7",))
    assert is_primary(SearchEntry(f"cn=g,{BASE}", group), user, kind) is expected


def test_is_private() -> None:
    """By its object class, in any case."""
    assert is_private(SearchEntry("cn=ann", {"objectclass": (b"top", b"MEPManagedEntry")}))
    assert not is_private(SearchEntry("cn=ann", {"objectclass": (b"posixGroup",)}))


@pytest.mark.parametrize(
    ("dn", "expected"),
    [
        pytest.param("cn=ann,ou=x,dc=corp,dc=example", "dc=corp,dc=example", id="the end of the DN"),
        pytest.param(r"cn=ann,dc=a\,b,dc=x", r"dc=a\,b,dc=x", id="escaped again"),
        pytest.param("cn=ann,dc=a,ou=x,dc=b", "dc=b", id="only what is at the end"),
        pytest.param("cn=ann,dc=a+ou=b", "otherwise", id="two attributes in one component"),
        pytest.param("cn=ann,o=x", "otherwise", id="no domain"),
        pytest.param("nonsense", "otherwise", id="no DN"),
        pytest.param(r"cn=ann,dc=a\00", "otherwise", id="a NUL"),
    ],
)
def test_domain_of(dn: str, expected: str) -> None:
    """The domain is the dc components at the end of the DN; without any, the caller's."""
    assert domain_of(dn, "otherwise") == expected


@given(st.lists(st.binary(max_size=40), max_size=2), st.lists(st.text(max_size=12), max_size=2), st.booleans())
def test_any_account_has_a_filter_or_is_unreadable(sids: list[bytes], numbers: list[str], is_account: bool) -> None:
    """Whatever the directory has in objectSid and primaryGroupID, nothing else is raised."""
    attributes = {"objectsid": tuple(sids), "primarygroupid": tuple(map(str.encode, numbers))}
    user = SearchEntry(f"cn=ann,{BASE}", attributes | ({"useraccountcontrol": (b"512",)} if is_account else {}))
    try:
        found = filter_for(user, Primary.SID)
    except Unreadable:
        assert sids or numbers or is_account
    else:
        assert (found is None) is (not sids and not numbers and not is_account)
