"""Credentials -> Identity: what every backend must keep to, and the chain that asks the backends in order.

The guards against unusable names and passwords stand in the chain, before any backend, so that none can forget one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, assert_never

from tokenserver.credentials import Credentials, Nothing, Password, Unusable
from tokenserver.errors import AuthenticationRequired, BackendUnavailable, InvalidCredentials
from tokenserver.identity import ANONYMOUS, Identity

MAX_USERNAME = 255
"""Characters, as in policies."""

MAX_PASSWORD_BYTES = 1024
"""In UTF-8. A longer one would only cost work: a directory took a second for a password of one megabyte."""


class Authenticator(Protocol):
    """One user source."""

    @property
    def name(self) -> str:
        """What the configuration and the audit events call it."""
        ...

    def authenticate(self, credentials: Password) -> Identity | None:
        """Tell who it is. The chain has checked before that neither name nor password is empty or oversized.

        Every possible answer:
            an `Identity`: the user is mine, and the password is right. It has a subject and is not anonymous.
            `None`: the user is not mine; the next source is asked. No work was done for it.
            `InvalidCredentials` is raised: the user is mine, and the password is wrong. No other source is asked.
            `BackendUnavailable` is raised: I cannot tell. No other source is asked, so that a source that is down
            never hands its users over to the next one.
        """
        ...


class Chain:
    """Asks the user sources in the order of the configuration.

    `decoy` does the work of a wrong password; it is called for a user whom no source knows, so that the time of an
    answer does not tell which users exist. None where no source does such work.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        anonymous: bool,
        decoy: Callable[[Password], None] | None,
    ) -> None:
        self.authenticators = tuple(authenticators)
        self._anonymous = anonymous
        self._decoy = decoy

    def authenticate(self, credentials: Credentials) -> Identity:
        """Tell who brought these credentials; `ANONYMOUS` only where nothing at all was brought.

        Raises:
            AuthenticationRequired: nothing was brought, and anonymous access is off.
            InvalidCredentials: something was brought, and it is unusable, unknown or wrong.
            BackendUnavailable: a source cannot tell, or gave an answer that its contract does not have.
        """
        match credentials:
            case Nothing():
                if self._anonymous:
                    return ANONYMOUS
                raise AuthenticationRequired
            case Unusable(reason):
                raise InvalidCredentials(reason)
            case Password():
                return self._ask(credentials)
            case _:
                assert_never(credentials)

    def _ask(self, credentials: Password) -> Identity:
        # No hashing for these: whether they are refused does not depend on which users exist.
        problem = _problem_with_name(credentials.username) or _problem_with_password(credentials.password.reveal())
        if problem is not None:
            raise InvalidCredentials(problem)
        for authenticator in self.authenticators:
            identity = authenticator.authenticate(credentials)
            if identity is not None:
                return _checked(identity, authenticator.name)
        if self._decoy is not None:
            self._decoy(credentials)
        raise InvalidCredentials("unknown user")


def _problem_with_name(name: str) -> str | None:
    if not name.strip():
        return "the user name is empty"
    if len(name) > MAX_USERNAME:
        return f"the user name is longer than {MAX_USERNAME} characters"
    # The house's one rule for names, in policies as well: neither control characters nor surrogates, nor blanks
    # other than the plain one, nor what is invisible.
    if not name.isprintable():
        return "the user name holds characters that cannot be printed"
    return None


def _problem_with_password(password: str) -> str | None:
    if not password:
        return "the password is empty"
    if len(password) > MAX_PASSWORD_BYTES or len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        return f"the password is longer than {MAX_PASSWORD_BYTES} bytes"
    if "\0" in password:
        return "the password holds a NUL character"
    return None


def _checked(identity: object, backend: str) -> Identity:
    """Take `object`, because a backend's annotation binds nobody at run time."""
    if not isinstance(identity, Identity):
        raise BackendUnavailable(backend, "gave an answer that is no identity")
    if identity.is_anonymous or not identity.subject.strip():
        raise BackendUnavailable(backend, "gave an identity of nobody")
    return identity
