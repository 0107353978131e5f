"""Logins by a user's own bind: the name that is bound, and whose entry it is."""

from __future__ import annotations

import pytest
from directory_entries import BASE, USER_SID, directory
from hypothesis import given
from hypothesis import strategies as st
from scripted_connection import answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import Deadline, Unanswerable
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.users.direct import NOT_IN_ACCOUNT_NAMES, bind_name, own_entry

BY_NAME = directory(bind_as="{user}@corp.example.com", user_filter="(uid={user})", domains=("CORP", "corp.example.com"))
BY_DN = directory(user_dn_template=f"uid={{user}},{BASE}", domains=("CORP",))

ANN = SearchEntry(f"cn=ann,{BASE}", {"uid": (b"ann",), "objectsid": (USER_SID,)})
OTHER_SID = USER_SID[:-4] + (1106).to_bytes(4, "little")


def root(*sids: bytes) -> Found:
    """The root entry of a directory, for an account with these SIDs."""
    return answer(SearchEntry("", {"tokengroups": sids}))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("ann", "ann@corp.example.com", id="a name"),
        pytest.param("CORP\\ann", "ann@corp.example.com", id="with a domain"),
        pytest.param("ann@corp.example.com", "ann@corp.example.com", id="with the domain that is bound"),
        pytest.param("ann.müller", "ann.müller@corp.example.com", id="nothing is escaped"),
    ],
)
def test_a_name_to_bind_as(typed: str, expected: str) -> None:
    """One domain, whatever was typed."""
    assert bind_name(BY_NAME, typed) == expected


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param("ann@other", "contains @, which no account name has; domains that are not", id="another domain"),
        pytest.param("OTHER\\ann", "contains \\, which no account name has; domains that are not", id="before it"),
        pytest.param("cn=ann,dc=x", "contains , =, which no account name has", id="a DN"),
        pytest.param("a\nb", "contains a control character", id="a control character"),
    ],
)
def test_what_is_no_account_name(typed: str, reason: str) -> None:
    """It could be another kind of name to the directory, so it is never sent."""
    with pytest.raises(ValueError, match=reason.replace("\\", r"\\")):
        bind_name(BY_NAME, typed)


@given(st.text(max_size=20) | st.text(alphabet="ann@\\CORP=,", max_size=12))
def test_a_bound_name_has_one_domain(typed: str) -> None:
    """Whatever is typed: it stays the part before the domain of the configuration, or is refused."""
    try:
        bound = bind_name(BY_NAME, typed)
    except ValueError:
        return
    name, separator, domain = bound.partition("@")
    assert (separator, domain) == ("@", "corp.example.com")
    assert NOT_IN_ACCOUNT_NAMES.isdisjoint(name)


def test_a_dn_to_bind_as() -> None:
    """The name is one value of the DN, without its domain."""
    assert bind_name(BY_DN, "CORP\\a,b") == f"uid=a\\,b,{BASE}"


def test_the_entry_of_a_dn_is_read() -> None:
    """It is the one that was bound, so nothing has to be proven."""
    connection, script = scripted(answer(ANN))
    found = own_entry(connection, BY_DN, ANN.dn, "ann", Deadline(5))
    assert (found.entries, [asked[0] for asked in script.asked]) == ((ANN,), [ANN.dn])


def test_the_entry_of_a_name_is_searched() -> None:
    """And its SID is the one of the account that is bound."""
    connection, script = scripted(answer(ANN), root(OTHER_SID, USER_SID))
    found = own_entry(connection, BY_NAME, "ann@corp.example.com", "CORP\\ann", Deadline(5))
    assert found.entries == (ANN,)
    assert [asked[:2] for asked in script.asked] == [(BASE, "(uid=ann)"), ("", "(objectClass=*)")]
    assert "objectSid" in script.asked[0][2]


def test_the_entry_of_another_account() -> None:
    """An account whose userPrincipalName is somebody else's name does not become that user."""
    connection, _ = scripted(answer(ANN), root(OTHER_SID))
    with pytest.raises(Refused, match="is of another account"):
        own_entry(connection, BY_NAME, "ann@corp.example.com", "ann", Deadline(5))


@pytest.mark.parametrize("answered", [pytest.param(answer(), id="nothing"), pytest.param(root(), id="no SIDs")])
def test_a_directory_that_cannot_tell(answered: Found) -> None:
    """Not Active Directory: it is the configuration that is wrong, and nobody's password."""
    connection, _ = scripted(answer(ANN), answered)
    with pytest.raises(Unanswerable, match="does not say which account is bound") as caught:
        own_entry(connection, BY_NAME, "ann@corp.example.com", "ann", Deadline(5))
    assert "set user_dn_template to a DN" in caught.value.failure.fix


@pytest.mark.parametrize(
    "found", [pytest.param(answer(), id="none"), pytest.param(answer(ANN, ANN, code=4), id="several")]
)
def test_nothing_is_asked_about_no_entry(found: Found) -> None:
    """The caller refuses none and several."""
    connection, script = scripted(found)
    assert own_entry(connection, BY_NAME, "ann@corp.example.com", "ann", Deadline(5)).entries == found.entries
    assert len(script.asked) == 1
