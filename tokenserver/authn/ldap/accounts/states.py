"""States of an account in which its owner cannot log in, in the same words for every kind of directory.

Active Directory reports them in the diagnostic message of a failed bind, OpenLDAP, 389 Directory Server and FreeIPA in
the password policy control, and each of them in attributes of the entry (`entry.account_problem`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class AccountState(StrEnum):
    """Why a login is rejected, as audit events, the log and `ldap test` say it."""

    PASSWORD_EXPIRED = "the password has expired"  # noqa: S105 - a reason, not a secret
    MUST_CHANGE = "the password must be changed first"
    LOCKED = "the account is locked"
    DISABLED = "the account is disabled"
    EXPIRED = "the account has expired"
    NOT_NOW = "not permitted to log in at this time"
    NOT_HERE = "not permitted to log in from here"
    TOO_MANY_GROUPS = "the user is in too many groups"

    @property
    def advice(self) -> str:
        """What to change in the directory."""
        return _ADVICE[self]


_ADVICE: Mapping[AccountState, str] = MappingProxyType(
    {
        AccountState.PASSWORD_EXPIRED: "set a new password in the directory; the typed one is no longer accepted",
        AccountState.MUST_CHANGE: "let the user replace the password in the directory, as its policy demands",
        AccountState.LOCKED: "unlock the account in the directory, or wait until the lock ends",
        AccountState.DISABLED: "enable the account in the directory",
        AccountState.EXPIRED: "extend the account in the directory",
        AccountState.NOT_NOW: "see the account's logon hours in the directory",
        AccountState.NOT_HERE: "see the workstations that the account may log in from in the directory",
        AccountState.TOO_MANY_GROUPS: "remove the user from groups in the directory",
    }
)

ACTIVE_DIRECTORY: Mapping[str, AccountState] = MappingProxyType(
    {
        "530": AccountState.NOT_NOW,
        "531": AccountState.NOT_HERE,
        "532": AccountState.PASSWORD_EXPIRED,
        "533": AccountState.DISABLED,
        "568": AccountState.TOO_MANY_GROUPS,
        "701": AccountState.EXPIRED,
        "773": AccountState.MUST_CHANGE,
        "775": AccountState.LOCKED,
    }
)
"""The code after the word `data` in a diagnostic message ([MS-ERREF] 2.2) -> the state."""

PASSWORD_POLICY_ERRORS: Mapping[int, AccountState] = MappingProxyType(
    {0: AccountState.PASSWORD_EXPIRED, 1: AccountState.LOCKED, 2: AccountState.MUST_CHANGE}
)
"""The error in the password policy control -> the state (draft-behera-ldap-password-policy-11, section 6.2). The other
errors are about changes of passwords."""
