"""Result codes: which are about the user, and which are faults of the server."""

from __future__ import annotations

import pytest

from tokenserver.authn.ldap.ber import Result
from tokenserver.authn.ldap.result_codes import describe


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
