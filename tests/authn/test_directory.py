"""What a directory's texts and entries mean, without any directory: escapes, DNs, answers, accounts and groups."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode

from tokenserver.authn.directory.ber import (
    DONE,
    ENTRY,
    Entry,
    Malformed,
    Message,
    Result,
    message_size,
    parse_message,
)
from tokenserver.authn.directory.brought import LeftOut, Reports, names_of, values_of
from tokenserver.authn.directory.deadline import Deadline
from tokenserver.authn.directory.group_lookup import any_group
from tokenserver.authn.directory.model import MAX_GROUP_NAME, MAX_GROUPS, Directory, Groups, GroupsBy, Primary
from tokenserver.authn.directory.names import (
    NotADn,
    escape_filter,
    escape_rdn,
    fill,
    is_below,
    matches,
    parse_dn,
    rdn_values,
    same_attribute,
)
from tokenserver.authn.directory.people import (
    Refused,
    account_problem,
    identity_of,
    raw_subject,
    refusal,
)
from tokenserver.authn.directory.results import describe
from tokenserver.authn.directory.walk import brought, first_filter
from tokenserver.authn.ldap import NO_SUCH_OBJECT, Found

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BASE = "dc=example,dc=com"
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


def directory(**more: Any) -> Directory:
    """A directory with the least that it needs."""
    values: dict[str, Any] = {
        "name": "corp",
        "servers": (),
        "base": BASE,
        "subject": "uid",
        "display_name": "cn",
        "email": "mail",
        "lowercase": True,
        "deadline": 5.0,
    }
    return Directory(**(values | more))


def entry(dn: str = f"uid=ann,{BASE}", **attributes: Any) -> Entry:
    """An entry with these attributes; ann's, unless it says otherwise."""
    found: dict[str, Any] = {"uid": "ann"} | attributes
    lists = {name: [value] if isinstance(value, str) else value for name, value in found.items()}
    return Entry(dn, {name.lower(): tuple(one.encode() for one in values) for name, values in lists.items()})


def _tagged(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def _value(text: bytes) -> bytes:
    return _tagged(0x04, text)


# --- filters and DNs -------------------------------------------------------------------------------------------------


@given(NAMES)
def test_an_escaped_name_is_one_value_in_a_filter(name: str) -> None:
    """ldap3's own parser finds one comparison with exactly that value, whatever the name holds."""
    text = fill("(&(objectClass=person)(uid={user}))", name)
    parsed = parse_filter(text, None, False, False, None, False).elements[0]
    comparison = compile_filter(parsed)["and"][1]["equalityMatch"]
    assert (str(comparison["attributeDesc"]), bytes(comparison["assertionValue"])) == ("uid", name.encode())
    assert len(encode(compile_filter(parsed))) > 0


@given(NAMES)
def test_an_escaped_name_is_one_component_of_a_dn(name: str) -> None:
    """Parsed back, there is exactly one component with exactly that value before the rest."""
    found = parse_dn(f"uid={escape_rdn(name)},ou=people,{BASE}")
    assert found == ((("uid", name),), (("ou", "people"),), (("dc", "example"),), (("dc", "com"),))


@pytest.mark.parametrize("escape", [escape_filter, escape_rdn])
@pytest.mark.parametrize("text", ["a\0b", "\0", "a\nb", "\x7f", "\ud800"])
def test_what_no_name_holds_is_refused(escape: Any, text: str) -> None:
    """NUL, control characters and surrogates have no escape here."""
    with pytest.raises(ValueError, match="control character"):
        escape(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("cn=a", ((("cn", "a"),),), id="one"),
        pytest.param(" CN = a b , O=c ", ((("cn", "a b"),), (("o", "c"),)), id="blanks"),
        pytest.param("cn=a+uid=b,o=c", ((("cn", "a"), ("uid", "b")), (("o", "c"),)), id="two attributes"),
        pytest.param(r"cn=a\,b\2c\c3\a4", ((("cn", "a,b,ä"),),), id="escapes"),
        pytest.param(r"cn=a\ ", ((("cn", "a "),),), id="a blank that counts"),
        pytest.param('cn="a,b",o=c', ((("cn", "a,b"),), (("o", "c"),)), id="quotes"),
        pytest.param("2.5.4.3=a", ((("2.5.4.3", "a"),),), id="number"),
        pytest.param("cn=", ((("cn", ""),),), id="empty value"),
        pytest.param("cn=#04024Aa0", None, id="the BER of no UTF-8"),
        pytest.param("1.3.6=#0c03c3a461 ,o=c", ((("1.3.6", "äa"),), (("o", "c"),)), id="the BER of a UTF8String"),
        pytest.param(r"cn=\#0402,o=c", ((("cn", "#0402"),), (("o", "c"),)), id="no BER: the # is escaped"),
        pytest.param(r"cn=\20a\20", ((("cn", " a "),),), id="blanks by their numbers"),
        pytest.param(r"cn=a\\\ +uid=\#", ((("cn", "a\\ "), ("uid", "#")),), id="a blank behind a backslash"),
        *(
            pytest.param(text, None, id=f"not {text!r}")
            for text in (
                "a",
                "=a",
                "cn=a,",
                "cn=a,,o=b",
                'cn="a',
                'cn="a"b',
                "cn=a\\",
                "cn=\\zz",
                "cn=<",
                "cn=\\ff",
                "c n=a",
                "cn=#",
                "cn=#0",
                "cn=#zz",
                "cn=#0402ff",
                "cn=#0201ff",
                "cn=#040161040162",
            )
        ),
    ],
)
def test_parse_dn(text: str, expected: Any) -> None:
    """Each form of a DN, and what is none."""
    if expected is None:
        with pytest.raises(NotADn):
            parse_dn(text)
    else:
        assert parse_dn(text) == expected


@given(st.text(max_size=40))
def test_parse_dn_never_fails_otherwise(text: str) -> None:
    """Any text is a DN or it is not."""
    with contextlib.suppress(NotADn):
        assert isinstance(parse_dn(text), tuple)


@pytest.mark.parametrize(
    ("dn", "expected"),
    [
        pytest.param(f"cn=a,{BASE}", True, id="below"),
        pytest.param(BASE, True, id="itself"),
        pytest.param("cn=a,DC=Example, dc=COM", True, id="case and blanks"),
        pytest.param("cn=a,dc=notexample,dc=com", False, id="another"),
        pytest.param(r"cn=a\,dc\=example\,dc\=com", False, id="a value that looks like it"),
        pytest.param("dc=com", False, id="above"),
    ],
)
def test_is_below(dn: str, expected: bool) -> None:
    """By components, not by text."""
    assert is_below(dn, BASE) is expected


@pytest.mark.parametrize(
    ("dn", "expected"),
    [
        (f"CN=Web,{BASE}", ("Web",)),
        (f"ou=Web,{BASE}", ()),
        (f"uid=x+cn=Web,{BASE}", ("Web",)),
        (f"cn=Web+cn=Data,{BASE}", ("Web", "Data")),
        (f"2.5.4.3=Web,{BASE}", ("Web",)),
        (f"commonName=Web,{BASE}", ("Web",)),
        ("", ()),
    ],
)
def test_the_names_in_a_dn(dn: str, expected: tuple[str, ...]) -> None:
    """The leftmost component's values of the right type, under whichever name that goes."""
    assert rdn_values(dn, "cn") == expected
    with pytest.raises(NotADn):
        rdn_values("nonsense", "cn")
    assert not same_attribute("cn", "uid")


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("reg-*", "reg-web", True),
        ("REG-*", "reg-web", True),
        ("reg-*", "xreg-web", False),
        ("reg", "reg-web", False),
        ("*", "", True),
        ("a.c", "abc", False),
        ("*a*b*", "xxaxxbxx", True),
        ("[a]", "a", False),
    ],
)
def test_globs(glob: str, name: str, expected: bool) -> None:
    """A star is any run of characters; nothing else means anything."""
    assert matches(glob, name) is expected


# --- entries ---------------------------------------------------------------------------------------------------------


def test_an_identity() -> None:
    """Subject in lower case and NFC, display name and address; what cannot be printed is left out."""
    found = identity_of(entry(uid="A\u0308NN", cn="Ann", mail="a\nb"), directory(), {"web"})
    assert (found.subject, found.source, found.groups) == ("änn", "corp", frozenset({"web"}))
    assert dict(found.attributes) == {"dn": f"uid=ann,{BASE}", "display_name": "Ann"}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(entry(dn=""), "the directory found an entry without a usable DN", id="no DN (row 2)"),
        pytest.param(entry(dn="nonsense"), "the directory found an entry without a usable DN", id="no DN at all"),
        pytest.param(entry(uid=[]), "the entry has no usable values of uid; it must have one", id="no subject"),
        pytest.param(entry(uid=["a", "b"]), "the entry has 2 usable values of uid; it must have one", id="two"),
        pytest.param(
            Entry(BASE, {"uid": (b"\xff",)}), "the entry has 1 usable values of uid; it must have one", id="not text"
        ),
        pytest.param(
            entry(uid="  "), "the value of uid cannot be a subject: the name begins or ends with a blank", id="blank"
        ),
        pytest.param(
            entry(uid="Everyone"),
            "the value of uid cannot be a subject: "
            "the name is reserved, as are <token>, anonymous, authenticated, everyone",
            id="reserved",
        ),
    ],
)
def test_no_identity(found: Entry, reason: str) -> None:
    """An entry that nobody can be is refused with its reason."""
    with pytest.raises(Refused) as caught:
        identity_of(found, directory(), ())
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"userAccountControl": "512"}, None, id="normal"),
        pytest.param({"userAccountControl": "514"}, "the account is disabled", id="disabled"),
        pytest.param({"msDS-User-Account-Control-Computed": "0"}, None, id="nothing computed"),
        pytest.param({"msDS-User-Account-Control-Computed": "16"}, "the account is locked", id="locked by failures"),
        pytest.param(
            {"msDS-User-Account-Control-Computed": "8388608"}, "the password has expired", id="expired password"
        ),
        pytest.param({"userAccountControl": "x"}, "the state of the account cannot be read", id="nonsense"),
        pytest.param({"accountExpires": "0"}, None, id="never"),
        pytest.param({"accountExpires": "9223372036854775807"}, None, id="never either"),
        pytest.param({"accountExpires": "134500000000000000"}, None, id="later"),
        pytest.param({"accountExpires": "133000000000000000"}, "the account has expired", id="expired in 2022"),
        pytest.param({"accountExpires": "9" * 30}, "the state of the account cannot be read", id="beyond all time"),
        pytest.param({"pwdAccountLockedTime": "000001010000Z"}, "the account is locked", id="locked for ever"),
        pytest.param({"pwdAccountLockedTime": "20270101000000Z"}, "the account is locked", id="locked ahead"),
        pytest.param({"pwdAccountLockedTime": "20200101000000.5Z"}, None, id="left to the bind"),
        pytest.param({"pwdAccountLockedTime": "2020"}, "the state of the account cannot be read", id="no time"),
        pytest.param({"pwdReset": "TRUE"}, "the password must be changed first", id="reset"),
        pytest.param({"pwdReset": "FALSE"}, None, id="not reset"),
        pytest.param({"nsAccountLock": "true"}, "the account is disabled", id="FreeIPA"),
        pytest.param({"nsAccountLock": "FALSE"}, None, id="FreeIPA, enabled"),
        pytest.param({"krbPrincipalExpiration": "20260601115959Z"}, "the account has expired", id="principal"),
        pytest.param({"krbPrincipalExpiration": "20260601120001Z"}, None, id="principal, later"),
        pytest.param({"shadowExpire": "1"}, "the account has expired", id="shadow"),
        pytest.param({"shadowExpire": "-1"}, None, id="shadow, never"),
    ],
)
def test_account_state(attributes: dict[str, Any], expected: str | None) -> None:
    """Disabled, locked and expired accounts are refused, and so is what nobody can read."""
    assert account_problem(entry(**attributes), NOW) == expected


@pytest.mark.parametrize(
    ("attributes", "told", "expected"),
    [
        pytest.param({}, "wrong password", "wrong password", id="nothing in the entry"),
        pytest.param(
            {"pwdAccountLockedTime": "000001010000Z"}, "wrong password", "the account is locked", id="locked for ever"
        ),
        pytest.param(
            {"pwdAccountLockedTime": "20260601115959Z"},
            "wrong password",
            "wrong password, or the account is locked for a while",
            id="locked since a second ago, nobody knows for how long",
        ),
        pytest.param({"userAccountControl": "514"}, "the account is locked", "the account is locked", id="AD's word"),
    ],
)
def test_why_a_bind_was_refused(attributes: dict[str, Any], told: str, expected: str) -> None:
    """What the entry says, where the directory itself says no more than that the password is wrong."""
    assert refusal(entry(**attributes), told, NOW) == expected


def test_fifty_thousand_groups() -> None:
    """F9: an answer with so many is read and refused in no time, and nothing of it is kept."""
    values = b"".join(_value(f"cn=group-{number},ou=groups,{BASE}".encode()) for number in range(50_000))
    attribute = _tagged(0x30, _value(b"memberOf") + _tagged(0x31, values))
    answer = _tagged(0x30, b"\x02\x01\x01" + _tagged(0x64, _value(b"uid=ann") + _tagged(0x30, attribute)))
    begin = time.process_time()
    message = parse_message(answer)
    assert isinstance(message.body, Entry)
    with pytest.raises(Refused, match="more than 1000 groups"):
        in_entry(message.body, Groups(GroupsBy.MEMBEROF, BASE))
    assert time.process_time() - begin < 2


@given(
    st.sampled_from(["userAccountControl", "accountExpires", "pwdAccountLockedTime", "shadowExpire"]),
    st.text(max_size=24),
)
def test_account_state_never_fails(name: str, text: str) -> None:
    """Any value gives a reason or none."""
    value = text.encode("utf-8", "replace").decode()
    assert account_problem(entry(**{name: value}), NOW) is None or isinstance(
        account_problem(entry(**{name: value}), NOW), str
    )


def in_entry(found: Entry, groups: Groups) -> frozenset[str]:
    """What the entry's memberOf brings where the groups themselves cannot be read."""
    return brought(Nothing(), None, found, directory(groups=groups), Deadline(5)).names  # type: ignore[arg-type]


class Nothing:
    """A connection to a directory that lets nobody see a group."""

    def ask_page(self, *_arguments: Any, **_more: Any) -> int:
        """A number."""
        return 1

    def found(self, _number: int, _deadline: Deadline) -> Any:
        """Nothing: the base does not exist, for who asks."""
        return Found((), Result(NO_SUCH_OBJECT, ""))


def test_groups_of_an_entry() -> None:
    """Short names in lower case, below the base alone, of the right type, allowed, whatever characters they have."""
    groups = Groups(GroupsBy.MEMBEROF, f"ou=groups,{BASE}", allow=("reg-*",))
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
    """One more than the limit, or a list that the directory cut off, refuses."""
    groups = Groups(GroupsBy.MEMBEROF, BASE)
    just = [f"cn=g{number},{BASE}" for number in range(MAX_GROUPS)]
    assert len(in_entry(entry(memberOf=just), groups)) == MAX_GROUPS
    for found in (entry(memberOf=[*just, f"cn=x,{BASE}"]), entry(f"cn=x,{BASE}", **{"memberOf;range=0-1499": just})):
        with pytest.raises(Refused, match="more than 1000 groups"):
            in_entry(found, groups)


@pytest.mark.parametrize(
    ("dn", "values", "expected"),
    [
        pytest.param("cn=web", ["web", "admins"], {"web", "admins"}, id="every value"),
        pytest.param("cn=web", [], {"web"}, id="that of the DN, where the values may not be read"),
        pytest.param("ou=x", ["Web", "WEB "], {"web", "web "}, id="another attribute in the DN; a blank counts"),
        pytest.param("cn=x", ["Apps: Prod", "Cost $5", "#ops", "all*stars"], None, id="characters of all kinds"),
        pytest.param("cn=x", ["authenticated", "everyone", "robot$a", "<token>"], None, id="reserved for users alone"),
        pytest.param("cn=x", ["a\u00a0b", "a\u200bb", "user:ann", "group:x", '"q"', "${group}", "a/b"], None, id="odd"),
        pytest.param("cn=x", ["A\u0308"], {"x", "\u00e4"}, id="in normal form C"),
        pytest.param("cn=x", ["y" * MAX_GROUP_NAME], None, id="just not too long"),
    ],
)
def test_what_a_group_is_called(dn: str, values: list[str], expected: set[str] | None) -> None:
    """Every name, with whatever characters the directory gives it; nothing is left out."""
    found = names_of([(f"{dn},{BASE}", tuple(map(str.encode, values)))], directory(), Groups(GroupsBy.MEMBER, BASE))
    assert found.names == ({"x", *map(str.lower, values)} if expected is None else expected)
    assert (found.left_out, found.lost) == ((), ())


@pytest.mark.parametrize(
    ("dn", "values", "names", "told", "is_lost"),
    [
        pytest.param(
            "cn=x",
            [b"a\0b"],
            {"x"},
            f"'a\\x00b' (cn=x,{BASE}): the name holds a control character",
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
        pytest.param(
            "ou=x", [], set(), f"a group (ou=x,{BASE}): it has no cn that can be read", True, id="nothing to read"
        ),
        pytest.param(
            "cn=x", [b"\xff"], {"x"}, f"a group (cn=x,{BASE}): a value of its cn is not UTF-8", True, id="not UTF-8"
        ),
        pytest.param("x", [], set(), f"a group (x,{BASE}): its DN cannot be read", True, id="no DN"),
    ],
)
def test_what_is_left_out(dn: str, values: list[bytes], names: set[str], told: str, is_lost: bool) -> None:
    """Is told with its reason; what has no name that anybody knows is lost, and may have any name."""
    found = names_of([(f"{dn},{BASE}", tuple(values))], directory(), Groups(GroupsBy.MEMBER, BASE))
    assert (set(found.names), list(map(str, found.left_out)), bool(found.lost)) == (names, [told], is_lost)


def test_what_is_not_meant_is_not_left_out() -> None:
    """Other groups than those below the base, and names that the allow-list does not take over."""
    groups = Groups(GroupsBy.MEMBER, f"ou=groups,{BASE}", allow=("reg-*",))
    found = names_of([(f"ou=x,{BASE}", ()), (f"cn=a,ou=groups,{BASE}", (b"a\0",))], directory(), groups)
    assert (found.names, found.left_out) == (frozenset(), ())


def test_names_with_other_languages_are_names_too() -> None:
    """`cn;lang-de` is a cn (RFC 4512, section 2.5), and so is commonName; uid is none."""
    found = Entry(BASE, {"cn": (b"a",), "cn;lang-de": (b"b",), "commonname": (b"c",), "uid": (b"d",)})
    assert values_of(found, "CN") == (b"a", b"b", b"c")


def test_a_prefix() -> None:
    """Stands before every name; the allow-list is about the names without it, the length about those with it."""
    groups = Groups(GroupsBy.MEMBER, BASE, allow=("web*", "y*"), prefix="partner/")
    values = (b"Web", b"other", b"y" * 250)
    found = names_of([(f"cn=web,{BASE}", values)], directory(), groups)
    assert found.names == {"partner/web"}
    assert [one.reason for one in found.left_out] == ["the name is longer than 255 characters"]


def test_the_log_tells_each_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each for each source, escaped, and no more than a bound in all."""
    report = Reports(most=3)
    bad = LeftOut("cn=\x1b[2J", "a\n", "reason")
    for _ in range(2):
        report("corp", [bad])
        report("other", [bad])
    report("corp", [LeftOut(f"cn={number}", None, "reason") for number in range(5)])
    assert [one.getMessage() for one in caplog.records] == [
        r"corp: left out of the groups of users: 'a\n' (cn=\x1b[2J): reason",
        r"other: left out of the groups of users: 'a\n' (cn=\x1b[2J): reason",
        "corp: left out of the groups of users: a group (cn=0): reason",
        "corp: what else is left out is not logged any more",
    ]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(Groups(GroupsBy.POSIX, BASE), "(objectClass=posixGroup)", id="posix"),
        pytest.param(
            Groups(GroupsBy.MEMBER, BASE),
            "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(member=*)(uniqueMember=*))",
            id="member",
        ),
    ],
)
def test_what_lint_takes_for_a_group(groups: Groups, expected: str) -> None:
    """No group that a login cannot find."""
    assert any_group(groups) == expected


def test_a_dn_in_a_group_filter_is_one_value() -> None:
    """A DN with the characters of filters in it (row 5, GHSA-6mwx)."""
    found = entry(dn=f"cn=(x)(member=*)\\\\,{BASE}")
    for by_rule in (False, True):
        text = first_filter(found, directory(), Groups(GroupsBy.NESTED, BASE, by_rule=by_rule))
        assert "*" not in text
        assert text.count("(") == (1 if by_rule else 3)


def test_the_subject_of_posix_groups_is_the_directorys_own() -> None:
    """memberUid is compared with case, so the value is not folded."""
    found = entry(uid="Ann", gidNumber=["7", "x)"])
    text = first_filter(found, directory(), Groups(GroupsBy.POSIX, BASE))
    assert text == "(&(objectClass=posixGroup)(|(memberUid=Ann)(gidNumber=7)))"
    assert raw_subject(found, directory()) == "Ann"


def test_posix_groups_list_the_uid_whatever_the_subject_is() -> None:
    """RFC 2307; and where an entry has no uid, its groups can only list the subject."""
    groups = Groups(GroupsBy.POSIX, BASE)
    found = entry(uid=["ann", "a(nn)"], mail="ann@example.com")
    text = first_filter(found, directory(subject="mail"), groups)
    assert text == r"(&(objectClass=posixGroup)(|(memberUid=ann)(memberUid=a\28nn\29)))"
    text = first_filter(entry(uid=[], cn="ann"), directory(subject="cn"), groups)
    assert text == "(&(objectClass=posixGroup)(|(memberUid=ann)))"


USER_SID = bytes.fromhex("0105000000000005150000000102030405060708090a0b0c") + (1105).to_bytes(4, "little")


def account(**more: Any) -> Entry:
    """A user of Active Directory whose primary group is 513."""
    attributes: dict[str, tuple[bytes, ...]] = {"objectsid": (USER_SID,), "primarygroupid": (b"513",)} | more
    return Entry(f"cn=ann,{BASE}", {"uid": (b"ann",), "useraccountcontrol": (b"512",), **attributes})


def test_the_primary_group_is_looked_for() -> None:
    """By the user's own SID with another end, together with the groups that list the user."""
    groups = Groups(GroupsBy.NESTED, BASE, by_rule=True, primary=Primary.SID)
    text = first_filter(account(), directory(), groups)
    assert text.startswith("(|(member:1.2.840.113556.1.4.1941:=")
    assert text.endswith(
        r"(objectSid=\01\05\00\00\00\00\00\05\15\00\00\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\01\02\00\00))"
    )
    groups = Groups(GroupsBy.MEMBER, BASE, primary=Primary.NUMBER)
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
def test_a_primary_group_that_nobody_can_tell_is_lost(more: dict[str, Any]) -> None:
    """An account that has one and does not say which may be in any group."""
    groups = Groups(GroupsBy.MEMBEROF, BASE, primary=Primary.SID)
    found = brought(Nothing(), None, account(**more), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert found.lost == (f"the primary group of cn=ann,{BASE}",)
    known = brought(Nothing(), None, account(), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert [one.reason for one in known.left_out] == ["it cannot be found"]


def test_no_primary_group() -> None:
    """An entry of another kind of directory has none, and nothing is lost."""
    groups = Groups(GroupsBy.MEMBEROF, BASE, primary=Primary.SID)
    assert in_entry(entry(), groups) == frozenset()


def test_rules_of_freeipa_are_no_groups() -> None:
    """memberOf names HBAC and sudo rules as well; elsewhere such a DN is a group without a name."""
    found = Entry(f"uid=ann,{BASE}", {"memberof": (f"ipaUniqueID=1,cn=hbac,{BASE}".encode(),)})
    for kind, lost in ((Primary.NUMBER, ()), (None, (f"ipaUniqueID=1,cn=hbac,{BASE}",))):
        groups = Groups(GroupsBy.MEMBEROF, BASE, primary=kind)
        told = brought(Nothing(), None, found, directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
        assert (told.names, told.lost) == (frozenset(), lost)


# --- answers ---------------------------------------------------------------------------------------------------------

SUCCESS = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"
FOUND = b"\x30\x1a\x02\x01\x02\x64\x15\x04\x04cn=a\x30\x0d\x30\x0b\x04\x03UID\x31\x04\x04\x02ab"


def test_answers() -> None:
    """A result and an entry; attribute names in lower case."""
    assert parse_message(SUCCESS) == Message(1, DONE, Result(0, ""))
    assert parse_message(FOUND) == Message(2, ENTRY, Entry("cn=a", {"uid": (b"ab",)}))


@pytest.mark.parametrize("whole", [pytest.param(SUCCESS, id="result"), pytest.param(FOUND, id="entry")])
def test_a_cut_answer_is_none(whole: bytes) -> None:
    """At every place: the size says that there is more, and what is there is no answer."""
    for length in range(len(whole)):
        assert message_size(whole[:length]) in (None, len(whole))
        with pytest.raises(Malformed):
            parse_message(whole[:length])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400", id="HTTP"),
        pytest.param(b"\x30\x84\x7f\xff\xff\xff", id="2 GB"),
        pytest.param(b"\x30\x80", id="unknown length"),
        pytest.param(b"\x30\x85\x00\x00\x00\x00\x01", id="length of five bytes"),
    ],
)
def test_a_size_that_no_message_has(data: bytes) -> None:
    """Refused before anything is kept for it."""
    with pytest.raises(Malformed):
        message_size(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x7f\x04\x00", id="a length beyond the frame"),
        pytest.param(
            b"\x30\x10\x02\x01\x01\x61\x0b\x0a\x01\x00\x04\x00\x04\x00\xa3\x02\x04\x00", id="a success that refers"
        ),
        pytest.param(b"\x30\x0a\x02\x01\x01\x61\x05\x0a\x01\x00\x04\x00", id="a result without its end"),
        pytest.param(b"\x30\x0d\x02\x01\x01\x61\x08\x0a\x02\x00\x00\x0c\x00\x04\x00", id="a wrong tag"),
    ],
)
def test_a_false_success(data: bytes) -> None:
    """Nothing that is damaged is a success."""
    with pytest.raises(Malformed):
        parse_message(data)


def _paged(control: bytes) -> bytes:
    return _tagged(0x30, b"\x02\x01\x01" + b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00" + _tagged(0xA0, control))


PAGED = b"\x04\x161.2.840.113556.1.4.319"


def test_a_cookie() -> None:
    """The control of RFC 2696 among others; with no such control, or at the last page, there is none."""
    other = _tagged(0x30, b"\x04\x031.2")
    page = _tagged(0x30, PAGED + b"\x01\x01\xff" + _value(b"\x30\x08\x02\x01\x00\x04\x03abc"))
    last = _tagged(0x30, PAGED + _value(b"\x30\x05\x02\x01\x00\x04\x00"))
    found = [parse_message(_paged(control)).cookie for control in (other + page, last, other)]
    assert found == [b"abc", b"", b""]


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(b"\x04\x00", id="no control"),
        pytest.param(_tagged(0x30, b""), id="empty"),
        pytest.param(_tagged(0x30, PAGED), id="without a value"),
        pytest.param(_tagged(0x30, PAGED + _value(b"\x30\x02\x04\x00")), id="a value without a size"),
        pytest.param(_tagged(0x30, PAGED + _value(b"\x30\x05\x02\x01\x00\x04\x01")), id="cut"),
    ],
)
def test_no_cookie(control: bytes) -> None:
    """Nothing else is taken for one."""
    with pytest.raises(Malformed):
        parse_message(_paged(control))


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda data: b"\x30" + bytes([len(data)]) + data))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are an answer or malformed."""
    with contextlib.suppress(Malformed):
        assert isinstance(parse_message(data), Message)


@pytest.mark.parametrize(
    ("code", "diagnostic", "text", "is_about_user"),
    [
        pytest.param(49, "", "wrong password", True, id="OpenLDAP"),
        pytest.param(49, "80090308: LdapErr: DSID-0C090447, data 533, v3839", "the account is disabled", True, id="AD"),
        pytest.param(49, "data zzz", "wrong password", True, id="unknown data"),
        pytest.param(51, "", "the directory is busy", False, id="busy"),
        pytest.param(
            10, "", "the directory refers to another server; referrals are not followed", False, id="referral"
        ),
        pytest.param(99, "", "result 99", False, id="unknown"),
    ],
)
def test_refusals(code: int, diagnostic: str, text: str, is_about_user: bool) -> None:
    """What is not known to be about the user is the server's trouble: 503, not 401."""
    found = describe(Result(code, diagnostic))
    assert (found.text, found.is_about_user) == (text, is_about_user)
