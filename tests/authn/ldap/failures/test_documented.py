"""Every failure at a directory becomes one of the documented errors, with its reason."""

from __future__ import annotations

import pytest

from tokenserver.authn.ldap.deadline import ConnectionFailed, Unanswerable
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.documented import documented_errors
from tokenserver.authn.ldap.failures.failure import DirectoryError
from tokenserver.errors import AccountEnded, BackendUnavailable, Incomplete, InvalidCredentials, TokenserverError


@pytest.mark.parametrize(
    ("failed", "expected", "reason"),
    [
        pytest.param(
            ConnectionFailed(FailureCause.BUSY),
            BackendUnavailable,
            "the directory is busy; fix: retry later, or add a second server to url",
            id="no answer",
        ),
        pytest.param(
            Unanswerable(FailureCause.NO_DN), Incomplete, "usable DN; fix: see the directory's log", id="part"
        ),
        pytest.param(Refused(FailureCause.DISABLED), AccountEnded, "the account is disabled", id="ended"),
        pytest.param(Refused(FailureCause.LOCKED), InvalidCredentials, "the account is locked", id="rejected"),
    ],
)
def test_documented_errors(failed: DirectoryError, expected: type[TokenserverError], reason: str) -> None:
    """Faults of the directory come with their fix, and rejected users with the reason alone."""
    with pytest.raises(expected) as caught, documented_errors("corp"):
        raise failed
    assert type(caught.value) is expected
    assert getattr(caught.value, "reason", "").endswith(reason)
    assert getattr(caught.value, "backend", "corp") == "corp"


def test_anything_else_is_a_bug() -> None:
    """It is not hidden."""
    with pytest.raises(ZeroDivisionError), documented_errors("corp"):
        raise ZeroDivisionError
