"""Translates failures at a directory into the errors that an `Authenticator` documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tokenserver.authn.ldap.deadline import ConnectionFailed, Unanswerable
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.errors import AccountEnded, BackendUnavailable, Incomplete, InvalidCredentials


@contextmanager
def documented_errors(source: str) -> Iterator[None]:
    """Translate all failures in the block, which asks the directory with this name.

    Raises:
        BackendUnavailable: the directory does not answer.
        Incomplete: it cannot answer this question.
        AccountEnded: the user's account was disabled, or has expired.
        InvalidCredentials: the user is rejected for another reason.
    """
    try:
        yield
    except ConnectionFailed as error:
        raise BackendUnavailable(source, str(error.failure), summary=error.failure.summary) from error
    except Unanswerable as error:
        raise Incomplete(source, str(error.failure)) from error
    except Refused as refused:
        kind = AccountEnded if refused.cause in _ENDING else InvalidCredentials
        raise kind(refused.reason) from refused


_ENDING = frozenset({FailureCause.DISABLED, FailureCause.EXPIRED})
"""Not a lock: anybody can lock the account of somebody else by wrong passwords."""
