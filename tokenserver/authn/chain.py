"""The authenticator chain: credentials to identity, by asking the user sources in the order of the configuration.

MalformedCredentials names and passwords are rejected here, before any backend, so that no backend can forget to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from tokenserver.authn.authenticator import Authenticator, Guard, NamespaceOwner, Rest, Stamped
from tokenserver.authn.usernames import typed_name_problem
from tokenserver.credentials import Credentials, MalformedCredentials, NoCredentials, Password, RefreshToken
from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    Overloaded,
    Throttled,
    UnknownRefreshToken,
)
from tokenserver.identity import ANONYMOUS, Identity
from tokenserver.scopes import is_path_component

MAX_PASSWORD_BYTES = 1024
"""In UTF-8. A longer password would only cost work: a directory took a second for one of a megabyte."""


class Chain:
    """Asks the user sources in the order of the configuration.

    `decoy` does the work of a wrong password for a user unknown to all sources, so that response times do not reveal
    which users exist; None if no source does such work. `rest` does the same for the other failures. A `guard`
    decides whether the sources are asked at all. `owners` are the sources again, if any of them maps names: a user is
    rejected whose namespace is that of a user of an earlier source, since each namespace belongs to one person.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        anonymous: bool,
        decoy: Callable[[Password], None] | None,
        rest: Rest | None = None,
        guard: Guard | None = None,
        owners: Sequence[NamespaceOwner] = (),
    ) -> None:
        self.authenticators = tuple(authenticators)
        self._guard = guard
        self._owners = tuple(owners)
        self._stamp = _joined([source.stamp for source in authenticators if isinstance(source, Stamped)])
        self._anonymous = anonymous
        self._decoy = decoy
        self._rest = rest

    def authenticate(self, credentials: Credentials, client: IPv4Address | IPv6Address | None = None) -> Identity:
        """The identity of these credentials; `ANONYMOUS` only if there are no credentials at all.

        `client` is the address of the client, None if it is unknown.

        Raises:
            AuthenticationRequired: there are no credentials, and anonymous access is off.
            InvalidCredentials: the credentials are unusable, unknown or wrong. Every refresh token is unknown.
            BackendUnavailable: a source cannot answer or broke its contract, or there is no capacity (`Overloaded`).
            Throttled: too many failures of this user, from this address or in total.
        """
        match credentials:
            case NoCredentials():
                if self._anonymous:
                    return ANONYMOUS
                raise AuthenticationRequired
            case MalformedCredentials(reason):
                raise InvalidCredentials(reason)
            case Password():
                return self._login(credentials, client)
            case RefreshToken():
                self._count_unknown(credentials, client)
                raise UnknownRefreshToken
            case _:
                assert_never(credentials)

    def _count_unknown(self, token: RefreshToken, client: IPv4Address | IPv6Address | None) -> None:
        if self._guard is not None:
            try:
                self._guard.count_unknown(token, client)
            except Throttled as error:
                raise Throttled(error.retry_after, UnknownRefreshToken.fix) from error

    def _login(self, credentials: Password, client: IPv4Address | IPv6Address | None) -> Identity:
        # No hashing here: whether these are rejected does not depend on which users exist.
        problem = typed_name_problem(credentials.username) or _problem_with_password(credentials.password.reveal())
        if problem is not None:
            raise InvalidCredentials(problem)
        if self._guard is not None:
            stamp = self._stamp(credentials.username)
            return self._guard.login(credentials, client, stamp, self._check, self._unavailable)
        try:
            return self._check(credentials)
        except BackendUnavailable as error:
            self._unavailable(credentials, error)
            raise

    def _unavailable(self, credentials: Password, error: BackendUnavailable) -> None:
        if self._rest is not None and not error.is_even and not isinstance(error, Overloaded):
            self._rest.unavailable(credentials, error.backend)

    def _check(self, credentials: Password) -> Identity:
        for number, authenticator in enumerate(self.authenticators):
            try:
                identity = authenticator.authenticate(credentials)
            except InvalidCredentials:
                if self._rest is not None:
                    self._rest.wrong(credentials, number)
                raise
            if identity is not None:
                found = _checked(identity, authenticator.name)
                reject_shared(found, self._owners[:number])
                return found
        if self._decoy is not None:
            try:
                self._decoy(credentials)
            except BackendUnavailable as error:
                error.is_even = True
                raise
        raise InvalidCredentials("unknown user")


def reject_shared(identity: Identity, earlier: Iterable[NamespaceOwner]) -> None:
    """Reject a user whose namespace is that of a user of an `earlier` source.

    Raises:
        InvalidCredentials: it is.
        BackendUnavailable: one of the sources cannot tell.
    """
    namespace = identity.user_value
    for source in earlier if is_path_component(namespace) else ():
        owner = source.owner_of(namespace)
        if owner is not None:
            raise InvalidCredentials(f"the namespace {namespace!r} is that of {owner!r} in {source.name}")


def _joined(stamps: Sequence[Callable[[str], bytes]]) -> Callable[[str], bytes]:
    """One stamp from those of all sources; with several, each is preceded by its length."""
    if len(stamps) == 1:
        return stamps[0]
    return lambda name: b"".join(len(stamp).to_bytes(4, "big") + stamp for stamp in (of(name) for of in stamps))


def _problem_with_password(password: str) -> str | None:
    if not password:
        return "the password is empty"
    if len(password) > MAX_PASSWORD_BYTES or len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        return f"the password is longer than {MAX_PASSWORD_BYTES} bytes"
    if "\0" in password:
        return "the password contains a NUL character"
    return None


def _checked(identity: object, backend: str) -> Identity:
    """Takes `object`, because a backend's annotation is not enforced at run time."""
    if not isinstance(identity, Identity):
        raise BackendUnavailable(backend, "returned something other than an identity")
    if identity.is_anonymous or not identity.subject.strip():
        raise BackendUnavailable(backend, "returned an identity without a subject")
    return identity
