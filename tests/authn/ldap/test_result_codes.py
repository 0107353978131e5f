"""Result codes: which are about the user, and which are faults of the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.accounts.password_policy import BindResult, PolicyResponse
from tokenserver.authn.ldap.accounts.states import ACTIVE_DIRECTORY, AccountState
from tokenserver.authn.ldap.ber import Result
from tokenserver.authn.ldap.result_codes import describe, describe_search


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


@pytest.mark.parametrize(
    ("code", "error", "text", "state"),
    [
        pytest.param(49, 0, "the password has expired", AccountState.PASSWORD_EXPIRED, id="expired"),
        pytest.param(49, 1, "the account is locked", AccountState.LOCKED, id="locked"),
        pytest.param(53, 1, "the account is locked", AccountState.LOCKED, id="locked, by unwillingness"),
        pytest.param(0, 2, "the password must be changed first", AccountState.MUST_CHANGE, id="a success that is none"),
        pytest.param(49, None, "wrong password", None, id="nothing about the password"),
        pytest.param(49, 6, "wrong password", None, id="an error about changes"),
        pytest.param(0, 6, "the directory's password policy reports error 6", None, id="a success with such an error"),
    ],
)
def test_what_the_password_policy_says(code: int, error: int | None, text: str, state: AccountState | None) -> None:
    """The state that the control reports is the reason; a success with any error is none."""
    found = describe(BindResult(code, "", PolicyResponse(error=error)))
    assert (found.text, found.is_about_user, found.state) == (text, True, state)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 9), st.text(max_size=30))
def test_a_fault_of_the_server_stays_one(code: int, error: int, diagnostic: str) -> None:
    """Whatever the control says, a code that is not about the user is a 503."""
    meaning = describe(BindResult(code, diagnostic, PolicyResponse(error=error)))
    assert meaning.is_about_user is (code in (0, 19, 32, 34, 48, 49, 53))


@pytest.mark.parametrize(("data", "state"), ACTIVE_DIRECTORY.items())
def test_one_list_of_states(data: str, state: AccountState) -> None:
    """Active Directory and password policies report the same states, each with advice."""
    found = describe(BindResult(49, f"80090308: LdapErr: DSID-0C090447, comment: x, data {data}, v3839"))
    assert (found.text, found.state) == (str(state), state)
    assert state.advice


@given(st.integers(-(2**31), 2**31 - 1), st.text(max_size=30))
def test_any_result_has_a_meaning(code: int, diagnostic: str) -> None:
    """Only the codes that RFC 4511 defines about an entry or its password are about the user; a search has no user."""
    meaning = describe(Result(code, diagnostic))
    assert meaning.text
    assert meaning.is_about_user is (code in (19, 32, 34, 48, 49, 53))
    assert describe_search(Result(code, diagnostic))


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        pytest.param("80090308: LdapErr: DSID-0C090447, data 52e, v3839", "wrong password", id="52e"),
        pytest.param("data 775", "the account is locked", id="775"),
        pytest.param("data 7750", "wrong password", id="a longer number"),
        pytest.param("xdata 775", "wrong password", id="another word"),
        pytest.param("data 52E", "wrong password", id="upper case"),
    ],
)
def test_the_data_of_active_directory(diagnostic: str, text: str) -> None:
    """The code behind the word `data` says more than result 49, and only that code."""
    assert describe(Result(49, diagnostic)).text == text
    assert describe(Result(53, diagnostic)).text == "the directory is unwilling (a locked or disabled account?)"
