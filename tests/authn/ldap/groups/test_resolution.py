"""Group resolution: which groups a directory user is in, under which names, and which are omitted."""

from __future__ import annotations

from typing import Any

import pytest
from directory_entries import BASE, Nothing, directory, entry, in_entry

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import MAX_GROUP_NAME, MAX_GROUPS, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.entry import Refused, raw_subject
from tokenserver.authn.ldap.group_names import OmissionLog, OmittedGroup, names_of, values_of
from tokenserver.authn.ldap.groups.lookup import any_group
from tokenserver.authn.ldap.groups.resolution import first_filter, resolve


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


@pytest.mark.parametrize(
    ("dn", "values", "expected"),
    [
        pytest.param("cn=web", ["web", "admins"], {"web", "admins"}, id="every value"),
        pytest.param("cn=web", [], {"web"}, id="that of the DN, if the values may not be read"),
        pytest.param("ou=x", ["Web", "WEB "], {"web", "web "}, id="another attribute in the DN; a blank counts"),
        pytest.param("cn=x", ["Apps: Prod", "Cost $5", "#ops", "all*stars"], None, id="characters of all kinds"),
        pytest.param("cn=x", ["authenticated", "everyone", "robot$a", "<token>"], None, id="reserved for users alone"),
        pytest.param("cn=x", ["a\u00a0b", "a\u200bb", "user:ann", "group:x", '"q"', "${group}", "a/b"], None, id="odd"),
        pytest.param("cn=x", ["A\u0308"], {"x", "\u00e4"}, id="in normal form C"),
        pytest.param("cn=x", ["y" * MAX_GROUP_NAME], None, id="just not too long"),
    ],
)
def test_what_a_group_is_called(dn: str, values: list[str], expected: set[str] | None) -> None:
    """Every name is kept, with all characters it has in the directory; nothing is omitted."""
    found = names_of(
        [(f"{dn},{BASE}", tuple(map(str.encode, values)))], directory(), GroupSettings(GroupsBy.MEMBER, BASE)
    )
    assert found.names == ({"x", *map(str.lower, values)} if expected is None else expected)
    assert (found.omitted, found.lost) == ((), ())


@pytest.mark.parametrize(
    ("dn", "values", "names", "reported", "is_lost"),
    [
        pytest.param(
            "cn=x",
            [b"a\0b"],
            {"x"},
            f"'a\\x00b' (cn=x,{BASE}): the name contains a control character",
            False,
            id="control character",
        ),
        pytest.param(
            "ou=x",
            [b"y" * 256],
            set(),
            f"'{'y' * 255}' (ou=x,{BASE}): the name is longer than 255 characters",
            False,
            id="too long",
        ),
        pytest.param("ou=x", [b""], set(), f"'' (ou=x,{BASE}): the name is empty", False, id="empty"),
        pytest.param("ou=x", [], set(), f"a group (ou=x,{BASE}): it has no readable cn", True, id="nothing to read"),
        pytest.param(
            "cn=x", [b"\xff"], {"x"}, f"a group (cn=x,{BASE}): a value of its cn is not UTF-8", True, id="not UTF-8"
        ),
        pytest.param("x", [], set(), f"a group (x,{BASE}): its DN is malformed", True, id="no DN"),
    ],
)
def test_omitted_groups(dn: str, values: list[bytes], names: set[str], reported: str, is_lost: bool) -> None:
    """Each is reported with its reason; a group whose name is unknown counts as lost, and may have any name."""
    found = names_of([(f"{dn},{BASE}", tuple(values))], directory(), GroupSettings(GroupsBy.MEMBER, BASE))
    assert (set(found.names), list(map(str, found.omitted)), bool(found.lost)) == (names, [reported], is_lost)


def test_ignored_groups_are_not_reported_as_omitted() -> None:
    """Groups outside the base, and names that the allow-list does not match."""
    groups = GroupSettings(GroupsBy.MEMBER, f"ou=groups,{BASE}", allow=("reg-*",))
    found = names_of([(f"ou=x,{BASE}", ()), (f"cn=a,ou=groups,{BASE}", (b"a\0",))], directory(), groups)
    assert (found.names, found.omitted) == (frozenset(), ())


def test_names_with_other_languages_are_names_too() -> None:
    """`cn;lang-de` is a cn (RFC 4512, section 2.5), and so is commonName; uid is not."""
    found = SearchEntry(BASE, {"cn": (b"a",), "cn;lang-de": (b"b",), "commonname": (b"c",), "uid": (b"d",)})
    assert values_of(found, "CN") == (b"a", b"b", b"c")


def test_a_prefix() -> None:
    """It is prepended to every name; the allow-list applies without it, the length limit with it."""
    groups = GroupSettings(GroupsBy.MEMBER, BASE, allow=("web*", "y*"), prefix="partner/")
    values = (b"Web", b"other", b"y" * 250)
    found = names_of([(f"cn=web,{BASE}", values)], directory(), groups)
    assert found.names == {"partner/web"}
    assert [one.reason for one in found.omitted] == ["the name is longer than 255 characters"]


def test_omitted_groups_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each once per source, escaped, up to a limit in total."""
    report = OmissionLog(limit=3)
    bad = OmittedGroup("cn=\x1b[2J", "a\n", "reason")
    for _ in range(2):
        report("corp", [bad])
        report("other", [bad])
    report("corp", [OmittedGroup(f"cn={number}", None, "reason") for number in range(5)])
    assert [one.getMessage() for one in caplog.records] == [
        r"corp: left out of the groups of users: 'a\n' (cn=\x1b[2J): reason",
        r"other: left out of the groups of users: 'a\n' (cn=\x1b[2J): reason",
        "corp: left out of the groups of users: a group (cn=0): reason",
        "corp: further groups left out are not logged",
    ]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(GroupSettings(GroupsBy.POSIX, BASE), "(objectClass=posixGroup)", id="posix"),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, BASE),
            "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(member=*)(uniqueMember=*))",
            id="member",
        ),
    ],
)
def test_the_filter_for_groups_in_lint(groups: GroupSettings, expected: str) -> None:
    """It finds no group that a login would not find."""
    assert any_group(groups) == expected


def test_a_dn_in_a_group_filter_is_one_value() -> None:
    """A DN that contains filter syntax (GHSA-6mwx; docs/design/threats.md#threat-5)."""
    found = entry(dn=f"cn=(x)(member=*)\\\\,{BASE}")
    for by_rule in (False, True):
        text = first_filter(found, directory(), GroupSettings(GroupsBy.NESTED, BASE, by_rule=by_rule))
        assert "*" not in text
        assert text.count("(") == (1 if by_rule else 3)


def test_the_subject_of_posix_groups_is_the_directorys_own() -> None:
    """memberUid is case-sensitive, so the value is not folded."""
    found = entry(uid="Ann", gidNumber=["7", "x)"])
    text = first_filter(found, directory(), GroupSettings(GroupsBy.POSIX, BASE))
    assert text == "(&(objectClass=posixGroup)(|(memberUid=Ann)(gidNumber=7)))"
    assert raw_subject(found, directory()) == "Ann"


def test_posix_groups_list_the_uid_whatever_the_subject_is() -> None:
    """RFC 2307; if an entry has no uid, its groups can only list the subject."""
    groups = GroupSettings(GroupsBy.POSIX, BASE)
    found = entry(uid=["ann", "a(nn)"], mail="ann@example.com")
    text = first_filter(found, directory(subject="mail"), groups)
    assert text == r"(&(objectClass=posixGroup)(|(memberUid=ann)(memberUid=a\28nn\29)))"
    text = first_filter(entry(uid=[], cn="ann"), directory(subject="cn"), groups)
    assert text == "(&(objectClass=posixGroup)(|(memberUid=ann)))"


USER_SID = bytes.fromhex("0105000000000005150000000102030405060708090a0b0c") + (1105).to_bytes(4, "little")


def account(**more: Any) -> SearchEntry:
    """A user of Active Directory whose primary group is 513."""
    attributes: dict[str, tuple[bytes, ...]] = {"objectsid": (USER_SID,), "primarygroupid": (b"513",)} | more
    return SearchEntry(f"cn=ann,{BASE}", {"uid": (b"ann",), "useraccountcontrol": (b"512",), **attributes})


def test_the_primary_group_is_looked_for() -> None:
    """By the user's SID with the last part replaced, together with the groups that list the user."""
    groups = GroupSettings(GroupsBy.NESTED, BASE, by_rule=True, primary=Primary.SID)
    text = first_filter(account(), directory(), groups)
    assert text.startswith("(|(member:1.2.840.113556.1.4.1941:=")
    assert text.endswith(
        r"(objectSid=\01\05\00\00\00\00\00\05\15\00\00\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\01\02\00\00))"
    )
    groups = GroupSettings(GroupsBy.MEMBER, BASE, primary=Primary.NUMBER)
    text = first_filter(entry(gidNumber=["77", "x"]), directory(), groups)
    assert text.endswith("(&(objectClass=posixGroup)(|(gidNumber=77))))")
    assert "gidNumber" not in first_filter(entry(), directory(), groups)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"objectsid": ()}, id="no SID"),
        pytest.param({"primarygroupid": ()}, id="no number"),
        pytest.param({"primarygroupid": (b"x",)}, id="no such number"),
        pytest.param({"primarygroupid": (b"4294967296",)}, id="a number too large"),
        pytest.param({"objectsid": (USER_SID[:-1],)}, id="a SID that was cut"),
        pytest.param({"objectsid": (b"\1\0",)}, id="a SID without an end"),
        pytest.param({"objectsid": (USER_SID, USER_SID)}, id="two SIDs"),
    ],
)
def test_an_unreadable_primary_group_is_lost(more: dict[str, Any]) -> None:
    """An account whose primary group cannot be identified may be in any group."""
    groups = GroupSettings(GroupsBy.MEMBEROF, BASE, primary=Primary.SID)
    found = resolve(Nothing(), None, account(**more), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert found.lost == (f"the primary group of cn=ann,{BASE}",)
    known = resolve(Nothing(), None, account(), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert [one.reason for one in known.omitted] == ["not found"]


def test_no_primary_group() -> None:
    """An entry of another kind of directory has none, and nothing is lost."""
    groups = GroupSettings(GroupsBy.MEMBEROF, BASE, primary=Primary.SID)
    assert in_entry(entry(), groups) == frozenset()


def test_rules_of_freeipa_are_no_groups() -> None:
    """memberOf lists HBAC and sudo rules as well; in other directories such a DN is a group without a name."""
    found = SearchEntry(f"uid=ann,{BASE}", {"memberof": (f"ipaUniqueID=1,cn=hbac,{BASE}".encode(),)})
    for kind, lost in ((Primary.NUMBER, ()), (None, (f"ipaUniqueID=1,cn=hbac,{BASE}",))):
        groups = GroupSettings(GroupsBy.MEMBEROF, BASE, primary=kind)
        resolved = resolve(Nothing(), None, found, directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
        assert (resolved.names, resolved.lost) == (frozenset(), lost)
