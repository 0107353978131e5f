"""A user's entry: the identity that it gives, and the state of the account."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from directory_entries import BASE, directory, entry
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.entry import (
    ACCOUNT_STATE,
    Refused,
    account_ends,
    account_problem,
    identity_of,
    normalize_name,
    refusal,
    wanted_attributes,
)
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


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
        pytest.param(
            entry(uid=["a", "b"]),
            "the entry has 2 usable values of uid; it must have one, or one of them in its DN: 'a', 'b'",
            id="two",
        ),
        pytest.param(
            SearchEntry(BASE, {"uid": (b"\xff",)}),
            "the entry has 1 usable values of uid; it must have one",
            id="not text",
        ),
        pytest.param(
            entry(uid="  "), "the value of uid cannot be a subject: the name begins or ends with a blank", id="blank"
        ),
        pytest.param(
            entry(uid="robot:ci"),
            "the value of uid cannot be a subject: a name must not hold ':' or begin with '#'",
            id="a robot (threat-152)",
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
    ("dn", "values", "subject", "expected"),
    [
        pytest.param(f"uid=multi,{BASE}", ["multi", "multi.alias"], "uid", "multi", id="the name in the DN"),
        pytest.param(f"uid=multi,{BASE}", ["alias", "multi"], "uid", "multi", id="wherever it is listed"),
        pytest.param(f"UID=MULTI ,{BASE}", ["multi", "alias"], "uid", "multi", id="in the spelling of the attribute"),
        pytest.param(f"userid=multi,{BASE}", ["multi", "alias"], "uid", "multi", id="another name of the attribute"),
        pytest.param(f"cn=M+uid=multi,{BASE}", ["multi", "alias"], "uid", "multi", id="beside another attribute"),
        pytest.param(
            f"mail=a@example.com,{BASE}", ["b@example.com", "a@example.com"], "mail", "a@example.com", id="mail"
        ),
        pytest.param(f"uid=m\\2cu,{BASE}", ["m,u", "alias"], "uid", "m,u", id="escaped in the DN"),
        pytest.param(f"cn=multi,{BASE}", ["multi", "alias"], "uid", None, id="the DN is of another attribute"),
        pytest.param(f"uid=other,{BASE}", ["multi", "alias"], "uid", None, id="the DN has another value"),
        pytest.param(f"cn=x,uid=multi,{BASE}", ["multi", "alias"], "uid", None, id="only further up in the DN"),
        pytest.param(f"uid=multi,{BASE}", ["multi", "MULTI"], "uid", None, id="twice"),
        pytest.param(f"uid=a+uid=b,{BASE}", ["a", "b"], "uid", None, id="both are in the DN"),
    ],
)
def test_several_values_of_the_subject(dn: str, values: list[str], subject: str, expected: str | None) -> None:
    """The one in the DN is the name and the others are aliases; otherwise nobody can tell, so all are named."""
    found, of = entry(dn, **{subject: values}), directory(subject=subject)
    if expected is not None:
        assert identity_of(found, of, ()).subject == expected
        return
    with pytest.raises(Refused) as caught:
        identity_of(found, of, ())
    assert str(caught.value).endswith(f"or one of them in its DN: {', '.join(map(repr, values))}")
    assert caught.value.failure.fix.startswith("set subject to an attribute that every user has once")


def test_very_many_values_of_the_subject() -> None:
    """The reason stays short, whatever the entry has."""
    with pytest.raises(Refused) as caught:
        identity_of(entry(f"cn=x,{BASE}", uid=["x" * 1000 + str(number) for number in range(1000)]), directory(), ())
    assert len(str(caught.value)) < 300


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
        pytest.param(
            {"msDS-User-Account-Control-Computed": "8388608", "pwdLastSet": "0"},
            "the password must be changed first",
            id="never set by the user",
        ),
        pytest.param(
            {"msDS-User-Account-Control-Computed": "8388608", "pwdLastSet": "133000000000000000"},
            "the password has expired",
            id="set long ago",
        ),
        pytest.param({"pwdLastSet": "0"}, None, id="never set, and the domain does not mind"),
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
    problem = account_problem(entry(**attributes), NOW)
    assert (None if problem is None else DirectoryFailure(problem).text) == expected


@pytest.mark.parametrize(
    ("attributes", "reported", "expected"),
    [
        pytest.param({}, FailureCause.WRONG_PASSWORD, "wrong password", id="nothing in the entry"),
        pytest.param(
            {"pwdAccountLockedTime": "000001010000Z"},
            FailureCause.WRONG_PASSWORD,
            "the account is locked",
            id="locked for ever",
        ),
        pytest.param(
            {"pwdAccountLockedTime": "20260601115959Z"},
            FailureCause.WRONG_PASSWORD,
            "wrong password, or the account is temporarily locked",
            id="locked since a second ago, nobody knows for how long",
        ),
        pytest.param({"userAccountControl": "514"}, FailureCause.LOCKED, "the account is locked", id="AD's word"),
    ],
)
def test_why_a_bind_was_refused(attributes: dict[str, Any], reported: FailureCause, expected: str) -> None:
    """The reason comes from the entry if the directory itself reports only a wrong password."""
    assert refusal(entry(**attributes), DirectoryFailure(reported), NOW).text == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({}, [], id="never"),
        pytest.param({"accountExpires": "0", "shadowExpire": "-1"}, [], id="never, as they say it"),
        pytest.param({"accountExpires": "134500000000000000"}, [datetime(2027, 3, 20, 7, 6, 40, tzinfo=UTC)], id="AD"),
        pytest.param(
            {"krbPrincipalExpiration": "20260601120001Z", "shadowExpire": "20605"},
            [datetime(2026, 6, 1, 12, 0, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)],
            id="two",
        ),
    ],
)
def test_when_an_account_expires(attributes: dict[str, Any], expected: list[datetime]) -> None:
    """Each attribute in its own unit."""
    assert list(account_ends(entry(**attributes))) == expected


@given(
    st.sampled_from(["userAccountControl", "accountExpires", "pwdAccountLockedTime", "shadowExpire"]),
    st.text(max_size=24),
)
def test_account_state_never_fails(name: str, text: str) -> None:
    """Any value gives a reason or none."""
    value = text.encode("utf-8", "replace").decode()
    problem = account_problem(entry(**{name: value}), NOW)
    assert problem is None or DirectoryFailure(problem).text


@pytest.mark.parametrize(
    ("groups", "more"),
    [
        pytest.param(None, set(), id="no groups"),
        pytest.param(GroupSettings(GroupsBy.MEMBER, (BASE,)), set(), id="member"),
        pytest.param(GroupSettings(GroupsBy.MEMBEROF, (BASE,)), {"memberOf"}, id="memberof"),
        pytest.param(GroupSettings(GroupsBy.POSIX, (BASE,)), {"gidNumber"}, id="posix, beside uid"),
        pytest.param(
            GroupSettings(GroupsBy.NESTED, (BASE,), primary=Primary.SID), {"objectSid", "primaryGroupID"}, id="SID"
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBEROF, (BASE,), primary=Primary.NUMBER), {"memberOf", "gidNumber"}, id="number"
        ),
    ],
)
def test_wanted_attributes(groups: GroupSettings | None, more: set[str]) -> None:
    """One search reads all that is needed, each attribute once, and never a password."""
    wanted = wanted_attributes(directory(groups=groups))
    assert set(wanted) == {"uid", "cn", "mail", *ACCOUNT_STATE} | more
    assert len(wanted) == len(set(wanted))


@pytest.mark.parametrize(
    ("name", "lowercase", "expected"),
    [
        pytest.param("Ann", True, "ann", id="lower case"),
        pytest.param("Ann", False, "Ann", id="a directory that tells case apart"),
        pytest.param("A\u0308nn", False, "\u00c4nn", id="normal form C"),
        pytest.param("\u0130", True, "i\u0307", id="a letter that becomes two"),
        pytest.param("STRASSE", True, "strasse", id="no folding beyond case"),
    ],
)
def test_normalize_name(name: str, lowercase: bool, expected: str) -> None:
    """A name as policies spell it."""
    assert normalize_name(name, directory(lowercase=lowercase)) == expected


@given(st.text(max_size=20), st.booleans())
def test_a_normal_name_stays_as_it_is(name: str, lowercase: bool) -> None:
    """Normalising twice changes nothing, so a name compares equal wherever it comes from."""
    once = normalize_name(name, directory(lowercase=lowercase))
    assert normalize_name(once, directory(lowercase=lowercase)) == once
    assert unicodedata.is_normalized("NFC", once)
