"""LDAP result codes (RFC 4511, appendix A), with the states of accounts that directories report beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tokenserver.authn.ldap.accounts.password_policy import BindResult
from tokenserver.authn.ldap.accounts.states import ACTIVE_DIRECTORY, AccountState
from tokenserver.authn.ldap.ber import Result

SUCCESS = 0
WRONG = "wrong password"

LIMITS = frozenset({3, 4, 11})
"""Result codes of a search that exceeded one of the directory's limits."""

CUT_OFF = frozenset({4, 11})
"""Result codes of a search that is truncated at a number of entries, however often it is repeated."""

NO_PAGES = frozenset({11, 12, 53})
"""Result codes of a server that does not provide paged results (OpenLDAP: size.prtotal=disabled)."""

HIDDEN = frozenset({32, 50})
"""Result codes of a search where the account may not read anything."""

_USER = {
    19: "the directory does not accept passwords for this account now (too many failures?)",
    32: "no entry has that DN",
    34: "the DN is not valid",
    48: "the entry has no password to bind with",
    49: WRONG,
    53: "the directory is unwilling (a locked or disabled account?)",
}
_SERVER = {
    1: "operations error (a bind is required before a search?)",
    3: "the directory's time limit",
    4: "the directory's size limit",
    8: "the directory requires stronger authentication (LDAPS or StartTLS)",
    10: "the directory refers to another server; referrals are not followed",
    11: "the directory's administrative limit",
    13: "the directory requires a confidential connection (LDAPS or StartTLS)",
    18: "the filter uses a matching rule that the directory does not have",
    32: "the base does not exist, or the account may not see it",
    50: "the account may not do that",
    51: "the directory is busy",
    52: "the directory is unavailable",
}
_NO_SUCH_USER = "525"  # of Active Directory, like the codes in `accounts.states`
_DATA = re.compile(r"\bdata ([0-9a-f]{3})\b")


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a result. `is_about_user`: the directory has checked the DN and the password, and rejects them.

    `state` is the state of the account, if the directory reports it as the reason.
    """

    text: str
    is_about_user: bool
    state: AccountState | None = None


def describe(result: Result) -> Meaning:
    """The meaning of a bind that is not accepted. An unknown code is a fault of the server, never a wrong password."""
    matched = _DATA.search(result.diagnostic) if result.code == 49 else None
    data = "" if matched is None else matched[1]
    state = ACTIVE_DIRECTORY.get(data)
    if isinstance(result, BindResult) and result.code in (SUCCESS, *_USER):
        state = result.state or state
    if state is not None:
        return Meaning(state, is_about_user=True, state=state)
    if isinstance(result, BindResult) and result.code == SUCCESS:
        return Meaning(f"the directory's password policy reports error {result.policy.error}", is_about_user=True)
    if data == _NO_SUCH_USER:
        return Meaning("no such user", is_about_user=True)
    if result.code in _USER:
        return Meaning(_USER[result.code], is_about_user=True)
    return Meaning(describe_search(result), is_about_user=False)


def describe_search(result: Result) -> str:
    """The meaning of a failed search."""
    return _SERVER.get(result.code, f"result {result.code}")
