"""Translates failures at a directory into the errors that an `Authenticator` documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tokenserver.authn.ldap.deadline import ConnectionFailed, Unanswerable
from tokenserver.authn.ldap.entry import Refused
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials


@contextmanager
def documented_errors(source: str) -> Iterator[None]:
    """Translate all failures in the block, which asks the directory with this name.

    Raises:
        BackendUnavailable: the directory does not answer.
        Incomplete: it cannot answer this question.
        InvalidCredentials: the user is rejected.
    """
    try:
        yield
    except ConnectionFailed as error:
        raise BackendUnavailable(source, str(error.failure), summary=error.failure.summary) from error
    except Unanswerable as error:
        raise Incomplete(source, str(error.failure)) from error
    except Refused as refused:
        raise InvalidCredentials(refused.reason) from refused
