"""LDAP result codes (RFC 4511, appendix A), and Active Directory's `data` codes in diagnostic messages ([MS-ADTS])."""

from __future__ import annotations

import re

from tokenserver.authn.ldap.accounts.password_policy import BindResult
from tokenserver.authn.ldap.ber import Result
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure

LIMITS = frozenset({3, 4, 11})
"""Result codes of a search that exceeded one of the directory's limits."""

CUT_OFF = frozenset({4, 11})
"""Result codes of a search that is truncated at a number of entries, however often it is repeated."""

NO_PAGES = frozenset({11, 12, 53})
"""Result codes of a server that does not provide paged results (OpenLDAP: size.prtotal=disabled)."""

HIDDEN = frozenset({32, 50})
"""Result codes of a search where the account may not read anything."""

_BIND = {
    19: FailureCause.LOCKED,  # 389 Directory Server: "Exceed password retry limit. Please try later."
    32: FailureCause.NO_ENTRY,
    34: FailureCause.INVALID_DN,
    48: FailureCause.NO_PASSWORD,
    49: FailureCause.WRONG_PASSWORD,
    53: FailureCause.UNWILLING,
}
_ANY = {
    1: FailureCause.OPERATIONS_ERROR,
    3: FailureCause.TIME_LIMIT,
    4: FailureCause.SIZE_LIMIT,
    7: FailureCause.SIMPLE_BIND_DISALLOWED,
    8: FailureCause.STRONGER_AUTHENTICATION,
    10: FailureCause.REFERRAL,
    11: FailureCause.ADMINISTRATIVE_LIMIT,
    13: FailureCause.CONFIDENTIALITY,
    18: FailureCause.MATCHING_RULE,
    32: FailureCause.NO_BASE,
    50: FailureCause.NOT_PERMITTED,
    51: FailureCause.BUSY,
    52: FailureCause.UNAVAILABLE,
}
_ACTIVE_DIRECTORY = {
    "525": FailureCause.NO_SUCH_USER,
    "52e": FailureCause.WRONG_PASSWORD,
    "530": FailureCause.WRONG_HOUR,
    "531": FailureCause.WRONG_WORKSTATION,
    "532": FailureCause.PASSWORD_EXPIRED,
    "533": FailureCause.DISABLED,
    "568": FailureCause.TOKEN_TOO_LARGE,
    "701": FailureCause.EXPIRED,
    "773": FailureCause.MUST_CHANGE,
    "775": FailureCause.LOCKED,
}
_DATA = re.compile(r"\bdata ([0-9a-f]{3})\b")
_SAID = {
    (49, "password expired"): FailureCause.PASSWORD_EXPIRED,  # 389 Directory Server
    (53, "inactivated"): FailureCause.DISABLED,  # 389 Directory Server
    (53, "simple authentication"): FailureCause.SIMPLE_BIND_DISALLOWED,  # OpenLDAP: disallow bind_simple
    (48, "anonymous"): FailureCause.ANONYMOUS_DISALLOWED,  # OpenLDAP: disallow bind_anon
    (1, "successful bind must be completed"): FailureCause.BIND_REQUIRED,  # Active Directory
    (1, "without authentication"): FailureCause.BIND_REQUIRED,  # Samba
    (8, "authentication required"): FailureCause.BIND_REQUIRED,  # OpenLDAP: require authc
}
"""Words in diagnostic messages that say more than the code."""

_ACCOUNT = frozenset(
    {
        FailureCause.WRONG_PASSWORD,
        FailureCause.NO_SUCH_USER,
        FailureCause.DISABLED,
        FailureCause.LOCKED,
        FailureCause.EXPIRED,
        FailureCause.PASSWORD_EXPIRED,
        FailureCause.MUST_CHANGE,
        FailureCause.WRONG_HOUR,
        FailureCause.WRONG_WORKSTATION,
        FailureCause.TOKEN_TOO_LARGE,
        FailureCause.NO_ENTRY,
        FailureCause.INVALID_DN,
        FailureCause.NO_PASSWORD,
        FailureCause.UNWILLING,
        FailureCause.PASSWORD_POLICY,
        FailureCause.EXTERNAL_REJECTED,
    }
)


_NOT_MAPPED = frozenset(
    {
        FailureCause.SIMPLE_BIND_DISALLOWED,  # the code is for any unsupported method
        FailureCause.NO_PASSWORD,
        FailureCause.WRONG_PASSWORD,
        FailureCause.NO_SUCH_USER,
        FailureCause.NO_ENTRY,
        FailureCause.INVALID_DN,
        FailureCause.UNWILLING,
    }
)
"""What a directory reports for a certificate that it does not map to an account: a bind with it has no password."""


def bind_failure(result: Result, *, is_service: bool = False) -> DirectoryFailure:
    """The failure of a bind. An unknown code is a fault of the server, never a wrong password."""
    if isinstance(result, BindResult) and result.cause is not None and result.code in (0, *_BIND):
        return DirectoryFailure(result.cause, {"code": str(result.policy.error)}, is_service)
    matched = _DATA.search(result.diagnostic)
    if result.code == 49 and matched is not None and matched[1] in _ACTIVE_DIRECTORY:
        return DirectoryFailure(_ACTIVE_DIRECTORY[matched[1]], is_service=is_service)
    return _failure(result, _BIND | {code: _ANY[code] for code in _ANY.keys() - _BIND.keys()}, {}, is_service)


def service_failure(result: Result, directory: Directory) -> DirectoryFailure:
    """The failure of the service account's bind."""
    failure = bind_failure(result, is_service=True)
    if not directory.sasl_external or failure.cause not in _NOT_MAPPED:
        return failure
    subject = directory.certificate.subject if directory.certificate is not None else ""
    facts = {"subject": subject, "said": failure.facts.get("said", "")}
    return DirectoryFailure(FailureCause.EXTERNAL_REJECTED, facts, is_service=True)


def search_failure(result: Result, **facts: str) -> DirectoryFailure:
    """The failure of a search, with facts about it, such as its base."""
    return _failure(result, _ANY, facts, is_service=False)


def is_about_account(failure: DirectoryFailure) -> bool:
    """Whether the directory has checked a DN and its password, and rejects them."""
    return failure.cause in _ACCOUNT


def result_text(result: Result) -> str:
    """A result as a server reports it."""
    return f"result {result.code}" + (f", {result.diagnostic}" if result.diagnostic else "")


def _failure(
    result: Result, causes: dict[int, FailureCause], facts: dict[str, str], is_service: bool
) -> DirectoryFailure:
    said = result.diagnostic.strip("\0 ")
    words = said.lower()
    special = next((cause for (code, word), cause in _SAID.items() if code == result.code and word in words), None)
    cause = special or causes.get(result.code, FailureCause.OTHER_RESULT)
    about = {"code": str(result.code), "said": ", ".join(result.referrals) or said}
    return DirectoryFailure(cause, about | facts, is_service)
