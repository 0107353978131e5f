"""The names of directory groups, and the groups without a usable one."""

from __future__ import annotations

import pytest
from directory_entries import BASE, directory

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import MAX_GROUP_NAME, GroupsBy, GroupSettings
from tokenserver.authn.ldap.group_names import OmissionLog, OmittedGroup, names_of, values_of


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
        [(f"{dn},{BASE}", tuple(map(str.encode, values)))], directory(), GroupSettings(GroupsBy.MEMBER, (BASE,))
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
            [b"\0web"],
            set(),
            f"'\\x00web' (ou=x,{BASE}): the name contains a control character",
            False,
            id="what a workload is called (threat-153)",
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
    found = names_of([(f"{dn},{BASE}", tuple(values))], directory(), GroupSettings(GroupsBy.MEMBER, (BASE,)))
    assert (set(found.names), list(map(str, found.omitted)), bool(found.lost)) == (names, [reported], is_lost)


def test_ignored_groups_are_not_reported_as_omitted() -> None:
    """Groups outside the base, and names that the allow-list does not match."""
    groups = GroupSettings(GroupsBy.MEMBER, (f"ou=groups,{BASE}",), allow=("reg-*",))
    found = names_of([(f"ou=x,{BASE}", ()), (f"cn=a,ou=groups,{BASE}", (b"a\0",))], directory(), groups)
    assert (found.names, found.omitted) == (frozenset(), ())


def test_names_with_other_languages_are_names_too() -> None:
    """`cn;lang-de` is a cn (RFC 4512, section 2.5), and so is commonName; uid is not."""
    found = SearchEntry(BASE, {"cn": (b"a",), "cn;lang-de": (b"b",), "commonname": (b"c",), "uid": (b"d",)})
    assert values_of(found, "CN") == (b"a", b"b", b"c")


def test_a_prefix() -> None:
    """It is prepended to every name; the allow-list applies without it, the length limit with it."""
    groups = GroupSettings(GroupsBy.MEMBER, (BASE,), allow=("web*", "y*"), prefix="partner/")
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
