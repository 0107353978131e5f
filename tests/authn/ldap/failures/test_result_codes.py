"""Result codes: which are about the account, and which are faults of the server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from directory_entries import directory
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.accounts.password_policy import BindResult, PolicyResponse
from tokenserver.authn.ldap.ber import Result
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.result_codes import (
    bind_failure,
    is_about_account,
    result_text,
    search_failure,
    service_failure,
)
from tokenserver.documents.tls_files import ClientCertificate

AD = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {}, v3839"


@pytest.mark.parametrize(
    ("code", "diagnostic", "text", "is_about_user"),
    [
        pytest.param(49, "", "wrong password", True, id="OpenLDAP"),
        pytest.param(49, AD.format("533"), "the account is disabled", True, id="Active Directory"),
        pytest.param(49, "data zzz", "wrong password", True, id="unknown data"),
        pytest.param(49, "password expired!", "the password has expired", True, id="389 Directory Server, expired"),
        pytest.param(19, "Exceed password retry limit.", "the account is locked", True, id="389, locked"),
        pytest.param(53, "Account inactivated.", "the account is disabled", True, id="389, disabled"),
        pytest.param(
            53,
            "unwilling to perform simple authentication",
            "the directory does not accept binds with a password",
            False,
            id="OpenLDAP: disallow bind_simple",
        ),
        pytest.param(
            48, "anonymous bind disallowed", "the directory does not accept anonymous binds", False, id="anonymous"
        ),
        pytest.param(
            8, "BindSimple: …", "the directory requires stronger authentication (LDAPS or StartTLS)", False, id="AD, 8"
        ),
        pytest.param(
            13, "", "the directory requires a confidential connection (LDAPS or StartTLS)", False, id="OpenLDAP, 13"
        ),
        pytest.param(51, "", "the directory is busy", False, id="busy"),
        pytest.param(
            10, "", "the directory refers to another server; referrals are not followed", False, id="referral"
        ),
        pytest.param(99, "no\x1bidea", "the directory reports an error: result 99 (no\\x1bidea)", False, id="unknown"),
    ],
)
def test_binds(code: int, diagnostic: str, text: str, is_about_user: bool) -> None:
    """A result not known to concern the account is a fault of the server: 503, not 401."""
    found = bind_failure(Result(code, diagnostic))
    assert (found.text, is_about_account(found)) == (text, is_about_user)


@given(st.integers(-(2**31), 2**31 - 1), st.text(max_size=30))
def test_any_result_has_a_meaning(code: int, diagnostic: str) -> None:
    """Only the codes that RFC 4511 defines about an entry or its password are about the account."""
    failure = bind_failure(Result(code, diagnostic))
    assert failure.text
    assert failure.fix
    if is_about_account(failure):
        assert code in (19, 32, 34, 48, 49, 53)
    assert search_failure(Result(code, diagnostic)).text


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        pytest.param("525", FailureCause.NO_SUCH_USER, id="525"),
        pytest.param("52e", FailureCause.WRONG_PASSWORD, id="52e"),
        pytest.param("530", FailureCause.WRONG_HOUR, id="530"),
        pytest.param("531", FailureCause.WRONG_WORKSTATION, id="531"),
        pytest.param("532", FailureCause.PASSWORD_EXPIRED, id="532"),
        pytest.param("533", FailureCause.DISABLED, id="533"),
        pytest.param("568", FailureCause.TOKEN_TOO_LARGE, id="568"),
        pytest.param("701", FailureCause.EXPIRED, id="701"),
        pytest.param("773", FailureCause.MUST_CHANGE, id="773"),
        pytest.param("775", FailureCause.LOCKED, id="775"),
        pytest.param("7750", FailureCause.WRONG_PASSWORD, id="a longer number"),
        pytest.param("52E", FailureCause.WRONG_PASSWORD, id="upper case"),
    ],
)
@pytest.mark.parametrize("is_service", [False, True])
def test_the_data_of_active_directory(data: str, cause: FailureCause, is_service: bool) -> None:
    """The code behind the word `data` says more than result 49, and the fix is another for the service account."""
    failure = bind_failure(Result(49, AD.format(data)), is_service=is_service)
    assert failure.cause is cause
    assert ("bind_dn" in failure.fix) is is_service
    assert bind_failure(Result(53, AD.format(data))).cause is FailureCause.UNWILLING
    assert bind_failure(Result(49, f"xdata {data}")).cause is FailureCause.WRONG_PASSWORD


def test_where_a_referral_leads() -> None:
    """The URL of the other server is in the sentence, and the fix names the setting."""
    result = Result(10, "0000202B: RefErr", ("ldap://other.example.com/dc=other",))
    failure = search_failure(result, base="dc=other", key="groups.base")
    assert failure.text.endswith("referrals are not followed: ldap://other.example.com/dc=other")
    assert failure.fix.startswith("correct groups.base, or")


def test_a_result_as_the_server_reports_it() -> None:
    """The code, and the server's own words if it has any."""
    assert (result_text(Result(2, "")), result_text(Result(2, "no TLS"))) == ("result 2", "result 2, no TLS")


@pytest.mark.parametrize(
    ("code", "error", "text", "cause"),
    [
        pytest.param(49, 0, "the password has expired", FailureCause.PASSWORD_EXPIRED, id="expired"),
        pytest.param(49, 1, "the account is locked", FailureCause.LOCKED, id="locked"),
        pytest.param(53, 1, "the account is locked", FailureCause.LOCKED, id="locked, by unwillingness"),
        pytest.param(0, 2, "the password must be changed first", FailureCause.MUST_CHANGE, id="a success that is none"),
        pytest.param(49, None, "wrong password", FailureCause.WRONG_PASSWORD, id="nothing about the password"),
        pytest.param(49, 6, "wrong password", FailureCause.WRONG_PASSWORD, id="an error about changes"),
        pytest.param(
            0,
            6,
            "the directory's password policy reports an error: 6",
            FailureCause.PASSWORD_POLICY,
            id="a success with such an error",
        ),
    ],
)
@pytest.mark.parametrize("is_service", [False, True])
def test_what_the_password_policy_says(
    code: int, error: int | None, text: str, cause: FailureCause, is_service: bool
) -> None:
    """The state that the control reports is the cause, for a user as for the service account."""
    found = bind_failure(BindResult(code, "", policy=PolicyResponse(error=error)), is_service=is_service)
    assert (found.text, found.cause, found.is_service, is_about_account(found)) == (text, cause, is_service, True)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 9), st.text(max_size=30))
def test_a_fault_of_the_server_stays_one(code: int, error: int, diagnostic: str) -> None:
    """Whatever the control says, a code that is not about the account is not about it with the control either."""
    policy = PolicyResponse(error=error)
    plain = bind_failure(Result(code, diagnostic))
    found = bind_failure(BindResult(code, diagnostic, policy=policy))
    assert is_about_account(found) == (is_about_account(plain) or code in (0, 19, 49, 53))


SEALED = directory(
    bind=None, sasl_external=True, certificate=ClientCertificate("CN=us", datetime(2026, 1, 1, tzinfo=UTC))
)
NOT_MAPPED = "the directory does not accept the client certificate as an account: CN=us"


@pytest.mark.parametrize(
    ("code", "diagnostic", "text"),
    [
        pytest.param(7, "no mechanism available", f"{NOT_MAPPED} (no mechanism available)", id="OpenLDAP: not offered"),
        pytest.param(49, "", NOT_MAPPED, id="no such account"),
        pytest.param(48, "", NOT_MAPPED, id="389 Directory Server"),
        pytest.param(49, AD.format("533"), "the account is disabled", id="a known account, disabled"),
        pytest.param(51, "", "the directory is busy", id="a fault of the server"),
    ],
)
def test_a_certificate_that_is_no_account(code: int, diagnostic: str, text: str) -> None:
    """With SASL EXTERNAL, a bind has no password that could be wrong."""
    found = service_failure(Result(code, diagnostic), SEALED)
    assert (found.text, found.is_service) == (text, True)
    assert ("olcAuthzRegexp" in found.fix) == text.startswith(NOT_MAPPED)
    assert is_about_account(found) == (code != 51)


def test_another_service_account() -> None:
    """It is bound with a password, which can be wrong."""
    assert service_failure(Result(49, ""), directory()).cause is FailureCause.WRONG_PASSWORD
    assert service_failure(Result(7, ""), directory()).cause is FailureCause.SIMPLE_BIND_DISALLOWED
