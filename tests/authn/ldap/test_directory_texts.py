"""Parsing of a directory's texts and entries, without any directory: escapes, DNs, answers, accounts and groups."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from directory_entries import BASE, directory, entry, in_entry
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode

from tokenserver.authn.ldap.ber import DONE, ENTRY, Malformed, Message, Result, SearchEntry, message_size, parse_message
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings
from tokenserver.authn.ldap.dn import (
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
from tokenserver.authn.ldap.entry import Refused, account_problem, identity_of, refusal
from tokenserver.authn.ldap.result_codes import describe

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


def _tagged(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def _value(text: bytes) -> bytes:
    return _tagged(0x04, text)


# --- filters and DNs -------------------------------------------------------------------------------------------------


@given(NAMES)
def test_an_escaped_name_is_one_value_in_a_filter(name: str) -> None:
    """ldap3's parser finds one comparison with exactly that value, whatever characters the name has."""
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
    """NUL, control characters and surrogates are rejected instead of escaped."""
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
    """Each form of a DN, and texts that are not DNs."""
    if expected is None:
        with pytest.raises(NotADn):
            parse_dn(text)
    else:
        assert parse_dn(text) == expected


@given(st.text(max_size=40))
def test_parse_dn_never_fails_otherwise(text: str) -> None:
    """Any text parses as a DN or raises `NotADn`."""
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
    """DNs are compared by components, not as text."""
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
    """The leftmost component's values of the right type, under any name of that type."""
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
    """A star is any run of characters; everything else is literal."""
    assert matches(glob, name) is expected


# --- entries ---------------------------------------------------------------------------------------------------------


def test_an_identity() -> None:
    """Subject in lower case and NFC, display name and address; non-printable values are dropped."""
    found = identity_of(entry(uid="A\u0308NN", cn="Ann", mail="a\nb"), directory(), {"web"})
    assert (found.subject, found.source, found.groups) == ("änn", "corp", frozenset({"web"}))
    assert dict(found.attributes) == {"dn": f"uid=ann,{BASE}", "display_name": "Ann"}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(entry(dn=""), "the directory returned an entry without a usable DN", id="no DN (threat-2)"),
        pytest.param(entry(dn="nonsense"), "the directory returned an entry without a usable DN", id="no DN at all"),
        pytest.param(entry(uid=[]), "the entry has no usable values of uid; it must have one", id="no subject"),
        pytest.param(entry(uid=["a", "b"]), "the entry has 2 usable values of uid; it must have one", id="two"),
        pytest.param(
            SearchEntry(BASE, {"uid": (b"\xff",)}),
            "the entry has 1 usable values of uid; it must have one",
            id="not text",
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
def test_no_identity(found: SearchEntry, reason: str) -> None:
    """An entry without a usable subject is rejected with a reason."""
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
    """Disabled, locked and expired accounts are rejected, and so are unreadable values."""
    assert account_problem(entry(**attributes), NOW) == expected


@pytest.mark.parametrize(
    ("attributes", "reported", "expected"),
    [
        pytest.param({}, "wrong password", "wrong password", id="nothing in the entry"),
        pytest.param(
            {"pwdAccountLockedTime": "000001010000Z"}, "wrong password", "the account is locked", id="locked for ever"
        ),
        pytest.param(
            {"pwdAccountLockedTime": "20260601115959Z"},
            "wrong password",
            "wrong password, or the account is temporarily locked",
            id="locked since a second ago, nobody knows for how long",
        ),
        pytest.param({"userAccountControl": "514"}, "the account is locked", "the account is locked", id="AD's word"),
    ],
)
def test_why_a_bind_was_refused(attributes: dict[str, Any], reported: str, expected: str) -> None:
    """The reason comes from the entry if the directory itself reports only a wrong password."""
    assert refusal(entry(**attributes), reported, NOW) == expected


def test_fifty_thousand_groups() -> None:
    """An answer with too many values is rejected quickly, and nothing of it is kept.

    See docs/design/threats.md#fault-9.
    """
    values = b"".join(_value(f"cn=group-{number},ou=groups,{BASE}".encode()) for number in range(50_000))
    attribute = _tagged(0x30, _value(b"memberOf") + _tagged(0x31, values))
    answer = _tagged(0x30, b"\x02\x01\x01" + _tagged(0x64, _value(b"uid=ann") + _tagged(0x30, attribute)))
    begin = time.process_time()
    message = parse_message(answer)
    assert isinstance(message.body, SearchEntry)
    with pytest.raises(Refused, match="more than 1000 groups"):
        in_entry(message.body, GroupSettings(GroupsBy.MEMBEROF, BASE))
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


# --- answers ---------------------------------------------------------------------------------------------------------

SUCCESS = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"
FOUND = b"\x30\x1a\x02\x01\x02\x64\x15\x04\x04cn=a\x30\x0d\x30\x0b\x04\x03UID\x31\x04\x04\x02ab"


def test_answers() -> None:
    """A result and an entry; attribute names in lower case."""
    assert parse_message(SUCCESS) == Message(1, DONE, Result(0, ""))
    assert parse_message(FOUND) == Message(2, ENTRY, SearchEntry("cn=a", {"uid": (b"ab",)}))


@pytest.mark.parametrize("whole", [pytest.param(SUCCESS, id="result"), pytest.param(FOUND, id="entry")])
def test_a_cut_answer_is_none(whole: bytes) -> None:
    """Cut at any place, its size says that more is due, and the part received is not an answer."""
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
    """Rejected before any memory is allocated for it."""
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
    """A damaged answer is never a success."""
    with pytest.raises(Malformed):
        parse_message(data)


def _paged(control: bytes) -> bytes:
    return _tagged(0x30, b"\x02\x01\x01" + b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00" + _tagged(0xA0, control))


PAGED = b"\x04\x161.2.840.113556.1.4.319"


def test_a_cookie() -> None:
    """The control of RFC 2696 among others; without it, or on the last page, there is no cookie."""
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
    """Nothing else is accepted as one."""
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
    """A result not known to concern the user is a fault of the server: 503, not 401."""
    found = describe(Result(code, diagnostic))
    assert (found.text, found.is_about_user) == (text, is_about_user)
