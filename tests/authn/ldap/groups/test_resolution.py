"""Group resolution: which groups a directory user is in, under which names, and which are omitted."""

from __future__ import annotations

import pytest
from directory_entries import BASE, account, directory, entry
from scripted_connection import answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.deadline import Deadline, Unanswerable
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.entry import raw_subject
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.groups.resolution import ask, first_filter, resolve


def test_a_dn_in_a_group_filter_is_one_value() -> None:
    """A DN that contains filter syntax (GHSA-6mwx; docs/design/threats.md#threat-5)."""
    found = entry(dn=f"cn=(x)(member=*)\\\\,{BASE}")
    for by_rule in (False, True):
        text = first_filter(found, directory(), GroupSettings(GroupsBy.NESTED, (BASE,), by_rule=by_rule))
        assert "*" not in text
        assert text.count("(") == (1 if by_rule else 3)


def test_the_subject_of_posix_groups_is_the_directorys_own() -> None:
    """memberUid is case-sensitive, so the value is not folded."""
    found = entry(uid="Ann", gidNumber=["7", "x)"])
    text = first_filter(found, directory(), GroupSettings(GroupsBy.POSIX, (BASE,)))
    assert text == "(&(objectClass=posixGroup)(|(memberUid=Ann)(gidNumber=7)))"
    assert raw_subject(found, directory()) == "Ann"


def test_posix_groups_list_the_uid_whatever_the_subject_is() -> None:
    """RFC 2307; if an entry has no uid, its groups can only list the subject."""
    groups = GroupSettings(GroupsBy.POSIX, (BASE,))
    found = entry(uid=["ann", "a(nn)"], mail="ann@example.com")
    text = first_filter(found, directory(subject="mail"), groups)
    assert text == r"(&(objectClass=posixGroup)(|(memberUid=ann)(memberUid=a\28nn\29)))"
    text = first_filter(entry(uid=[], cn="ann"), directory(subject="cn"), groups)
    assert text == "(&(objectClass=posixGroup)(|(memberUid=ann)))"


def test_the_primary_group_is_looked_for() -> None:
    """By the user's SID with the last part replaced, together with the groups that list the user."""
    groups = GroupSettings(GroupsBy.NESTED, (BASE,), by_rule=True, primary=Primary.SID)
    text = first_filter(account(), directory(), groups)
    assert text.startswith("(|(member:1.2.840.113556.1.4.1941:=")
    assert text.endswith(
        r"(objectSid=\01\05\00\00\00\00\00\05\15\00\00\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\01\02\00\00))"
    )
    groups = GroupSettings(GroupsBy.MEMBER, (BASE,), primary=Primary.NUMBER)
    text = first_filter(entry(gidNumber=["77", "x"]), directory(), groups)
    assert text.endswith("(&(objectClass=posixGroup)(|(gidNumber=77))))")
    assert "gidNumber" not in first_filter(entry(), directory(), groups)


AD = SearchEntry("", {"supportedcapabilities": (b"1.2.840.113556.1.4.800", b"1.2.840.113556.1.4.1670")})
OTHER = SearchEntry("", {"supportedcapabilities": (b"1.3.6.1.4.1.1",)})


@pytest.mark.parametrize("root", [OTHER, SearchEntry("", {})])
def test_a_matching_rule_that_the_directory_does_not_have(root: SearchEntry) -> None:
    """It finds nothing and reports success; if that counted as no groups, no deny rule for a group would apply."""
    groups = GroupSettings(GroupsBy.NESTED, (BASE,), by_rule=True)
    connection, script = scripted(answer(), answer(root))
    asked = ask(connection, entry(), directory(groups=groups), Deadline(5))
    with pytest.raises(Unanswerable) as caught:
        resolve(connection, asked, entry(), directory(groups=groups), Deadline(5))
    assert caught.value.cause is FailureCause.NO_MATCHING_RULE
    assert script.asked[-1][:3] == ("", "(objectClass=*)", ("supportedCapabilities",))


def test_no_groups_by_the_matching_rule() -> None:
    """A directory that has the rule is asked about it once for each connection, and only if it finds nothing."""
    groups = GroupSettings(GroupsBy.NESTED, (BASE,), by_rule=True)
    connection, script = scripted(answer(OTHER), answer(), answer(AD), answer())
    for _ in range(3):
        asked = ask(connection, entry(), directory(groups=groups), Deadline(5))
        resolve(connection, asked, entry(), directory(groups=groups), Deadline(5))
    assert len(script.asked) == 4
