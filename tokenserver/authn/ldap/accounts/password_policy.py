"""The password policy control in the answer to a bind (draft-behera-ldap-password-policy-11, section 6.2)."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.authn.ldap.ber import SEQUENCE, Malformed, Result, integer, only_value, values
from tokenserver.authn.ldap.failures.causes import FailureCause

_WARNING, _ERROR = 0xA0, 0x81
_EXPIRES_IN, _GRACE_LEFT = 0x80, 0x81
_ERRORS = {0: FailureCause.PASSWORD_EXPIRED, 1: FailureCause.LOCKED, 2: FailureCause.MUST_CHANGE}
"""The errors about a login; the others are about changes of passwords."""


@dataclass(frozen=True, slots=True)
class PolicyResponse:
    """What the directory says about a password, apart from whether it is right.

    `error` is the number of an error. `expires_in` are the seconds until the password expires. `grace_left` says that
    it has expired, that this login was accepted nevertheless, and how many more will be.
    """

    error: int | None = None
    expires_in: int | None = None
    grace_left: int | None = None


NO_RESPONSE = PolicyResponse()
"""Of a directory without password policies, or of one with nothing to say."""


@dataclass(frozen=True, slots=True)
class BindResult(Result):
    """The result of a bind, and what the directory says about the password."""

    policy: PolicyResponse = NO_RESPONSE

    @property
    def is_accepted(self) -> bool:
        """Whether the login counts. After a success with an error (`changeAfterReset`) the directory rejects every
        operation but the change of the password.
        """
        return self.code == 0 and self.policy.error is None

    @property
    def cause(self) -> FailureCause | None:
        """The reason that the control gives for a rejected login; None if it gives none.

        Any other error makes a success no login, but is no better reason than the code of a failure.
        """
        if self.policy.error is None:
            return None
        return _ERRORS.get(self.policy.error, FailureCause.PASSWORD_POLICY if self.code == 0 else None)


def parse_policy_response(value: bytes) -> PolicyResponse:
    """Parse the value of the control; empty: there was none. Elements that the draft does not define are ignored.

    Raises:
        Malformed: it does not conform to the draft.
    """
    if not value:
        return NO_RESPONSE
    tag, content = only_value(value)
    if tag != SEQUENCE:
        raise Malformed("has an invalid password policy control")
    found: dict[str, int] = {}
    for kind, inner in values(content):
        if kind == _ERROR:
            _note(found, "error", inner)
        elif kind == _WARNING:
            warning, seconds_or_count = only_value(inner)
            if warning in (_EXPIRES_IN, _GRACE_LEFT):
                _note(found, "expires_in" if warning == _EXPIRES_IN else "grace_left", seconds_or_count)
    return PolicyResponse(**found)


def _note(found: dict[str, int], key: str, content: bytes) -> None:
    number = integer(content)
    if key in found or number < 0:
        raise Malformed("has an invalid password policy control")
    found[key] = number
