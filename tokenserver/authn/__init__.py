"""Credentials -> Identity: what every backend must keep to, and the chain that asks the backends in order.

The guards against unusable names and passwords stand in the chain, before any backend, so that none can forget one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, assert_never, runtime_checkable

from tokenserver.credentials import Credentials, Nothing, Password, Unusable
from tokenserver.errors import AuthenticationRequired, BackendUnavailable, InvalidCredentials, Overloaded
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
            `None`: the user is not mine; the next source is asked. No password was checked for it.
            `InvalidCredentials` is raised: the user is mine, and the password is wrong. No other source is asked.
            `BackendUnavailable` is raised: I cannot tell. No other source is asked, so that a source that is down
            never hands its users over to the next one.
        """
        ...


@runtime_checkable
class Stamped(Protocol):
    """A user source that can tell at once, without any work, whether what it knows of a user has changed."""

    def stamp(self, username: str) -> bytes:
        """Another text whenever the user's line is another; empty for a user who is not mine."""
        ...


class Guard(Protocol):
    """What stands in front of all sources: memory, throttle, and bounds on work. See `protection`."""

    def login(
        self,
        credentials: Password,
        client: IPv4Address | IPv6Address | None,
        stamp: bytes,
        check: Callable[[], Identity],
        unavailable: Callable[[BackendUnavailable], None],
    ) -> Identity:
        """Who it is, by memory or by `check`, which is called once at most. `stamp` changes with the user's lines.

        `unavailable` is called before it is raised that a source cannot tell.

        Raises whatever `check` raises, and `Throttled` or `Overloaded` where nothing was checked.
        """
        ...


class Rest(Protocol):
    """Does what a failed login has not done, so that the time of its end does not tell who has the name.

    See `equal_work`.
    """

    def wrong(self, credentials: Password, number: int) -> None:
        """The source of this number knows the name, and the password is wrong. Raises nothing that is expected."""
        ...

    def unavailable(self, credentials: Password, name: str) -> None:
        """The source of this name cannot tell. Raises nothing that is expected."""
        ...


class Chain:
    """Asks the user sources in the order of the configuration.

    `decoy` does the work of a wrong password; it is called for a user whom no source knows, so that the time of an
    answer does not tell which users exist. None where no source does such work. `rest` does the same for the other
    failures. With a `guard`, it decides when the sources are asked at all.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        anonymous: bool,
        decoy: Callable[[Password], None] | None,
        rest: Rest | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.authenticators = tuple(authenticators)
        self._guard = guard
        self._stamp = _joined([source.stamp for source in authenticators if isinstance(source, Stamped)])
        self._anonymous = anonymous
        self._decoy = decoy
        self._rest = rest

    def authenticate(self, credentials: Credentials, client: IPv4Address | IPv6Address | None = None) -> Identity:
        """Tell who brought these credentials; `ANONYMOUS` only where nothing at all was brought.

        `client` is the address that they came from, None where it is not known.

        Raises:
            AuthenticationRequired: nothing was brought, and anonymous access is off.
            InvalidCredentials: something was brought, and it is unusable, unknown or wrong.
            BackendUnavailable: a source cannot tell, or gave an answer that its contract does not have, or there is
                no room for the work now (`Overloaded`).
            Throttled: there were too many failures of this user, from this address or in total.
        """
        match credentials:
            case Nothing():
                if self._anonymous:
                    return ANONYMOUS
                raise AuthenticationRequired
            case Unusable(reason):
                raise InvalidCredentials(reason)
            case Password():
                return self._ask(credentials, client)
            case _:
                assert_never(credentials)

    def _ask(self, credentials: Password, client: IPv4Address | IPv6Address | None) -> Identity:
        # No hashing for these: whether they are refused does not depend on which users exist.
        problem = _problem_with_name(credentials.username) or _problem_with_password(credentials.password.reveal())
        if problem is not None:
            raise InvalidCredentials(problem)
        rest = self._rest

        def unavailable(error: BackendUnavailable) -> None:
            if rest is not None and not error.is_even and not isinstance(error, Overloaded):
                rest.unavailable(credentials, error.backend)

        if self._guard is None:
            try:
                return self._check(credentials)
            except BackendUnavailable as error:
                unavailable(error)
                raise
        stamp = self._stamp(credentials.username)
        return self._guard.login(credentials, client, stamp, lambda: self._check(credentials), unavailable)

    def _check(self, credentials: Password) -> Identity:
        for number, authenticator in enumerate(self.authenticators):
            try:
                identity = authenticator.authenticate(credentials)
            except InvalidCredentials:
                if self._rest is not None:
                    self._rest.wrong(credentials, number)
                raise
            if identity is not None:
                return _checked(identity, authenticator.name)
        if self._decoy is not None:
            try:
                self._decoy(credentials)
            except BackendUnavailable as error:
                error.is_even = True
                raise
        raise InvalidCredentials("unknown user")


def _joined(stamps: Sequence[Callable[[str], bytes]]) -> Callable[[str], bytes]:
    """One stamp out of those of all sources; with several, each stands behind its length."""
    if len(stamps) == 1:
        return stamps[0]
    return lambda name: b"".join(len(stamp).to_bytes(4, "big") + stamp for stamp in (of(name) for of in stamps))


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
