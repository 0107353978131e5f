"""LDAP result codes (RFC 4511, appendix A), and Active Directory's `data` codes in diagnostic messages ([MS-ADTS])."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tokenserver.authn.ldap.ber import Result

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
_ACTIVE_DIRECTORY = {
    "525": "no such user",
    "52e": WRONG,
    "530": "not permitted to log in at this time",
    "531": "not permitted to log in from here",
    "532": "the password has expired",
    "533": "the account is disabled",
    "568": "the user is in too many groups",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}
_DATA = re.compile(r"\bdata ([0-9a-f]{3})\b")


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a result. `is_about_user`: the directory has checked the DN and the password, and rejects them."""

    text: str
    is_about_user: bool


def describe(result: Result) -> Meaning:
    """The meaning of a failed bind. An unknown code is a fault of the server, never a wrong password."""
    matched = _DATA.search(result.diagnostic)
    if result.code == 49 and matched is not None and matched[1] in _ACTIVE_DIRECTORY:
        return Meaning(_ACTIVE_DIRECTORY[matched[1]], is_about_user=True)
    if result.code in _USER:
        return Meaning(_USER[result.code], is_about_user=True)
    return Meaning(describe_search(result), is_about_user=False)


def describe_search(result: Result) -> str:
    """The meaning of a failed search."""
    return _SERVER.get(result.code, f"result {result.code}")
