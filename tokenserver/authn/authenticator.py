"""The protocols of authentication: user sources, and what the chain puts in front of them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, runtime_checkable

from tokenserver.credentials import Key, Password, Secret
from tokenserver.errors import BackendUnavailable
from tokenserver.identity import Identity


class Authenticator(Protocol):
    """One user source."""

    @property
    def name(self) -> str:
        """Its name in the configuration and in audit events."""
        ...

    def authenticate(self, credentials: Password) -> Identity | None:
        """Verify a password. The chain has already rejected empty and oversized names and passwords.

        Every possible answer:
            an `Identity`: the user is mine, and the password is right. It has a subject and is not anonymous.
            `None`: the user is not mine; the next source is asked. No password was checked for it.
            `InvalidCredentials` is raised: the user is mine, and the password is wrong. No other source is asked.
            `BackendUnavailable` is raised: I cannot tell. No other source is asked, so a source that is down never
            hands its users over to the next one.
        """
        ...


@runtime_checkable
class KnownUsers(Protocol):
    """A user source that finds its users without their passwords, for credentials that act for them."""

    @property
    def name(self) -> str:
        """Its name in the configuration and in audit events."""
        ...

    def find(self, subject: str) -> Identity | None:
        """The user with this subject, as a login with the right password would report it now.

        Every possible answer:
            an `Identity`: the user is mine and could log in now, with the groups and the `proof` of now.
            `None`: there is no such user here.
            `AccountEnded` is raised: the user is mine, and the account was disabled or has expired.
            `InvalidCredentials` is raised: the user is mine, and could not log in now with the right password.
            `BackendUnavailable` is raised: I cannot tell.
        """
        ...


class KeyUse(Protocol):
    """The use of an access key or token that was verified, by the same header or form as before."""

    def again(self, client: IPv4Address | IPv6Address | None, now: float, /) -> Identity | None:
        """The holder, for a client with this address; `now` is in seconds since the epoch.

        None if it has to be authenticated as at its first use: it has ended, or something else has changed on which
        its use depends. Its text and the user name are the same.

        Raises:
            InvalidCredentials: it is a workload that is not declared any more.
        """
        ...


class KeyUses(Protocol):
    """The uses of verified keys and tokens in one snapshot, by the tags of the headers and forms that they came in."""

    @property
    def get(self) -> Callable[[bytes], KeyUse | None]:
        """Finds the use of a tag; None if there is none."""
        ...

    def offer(self, tag: bytes, use: KeyUse, /) -> bool:
        """Keep the use, if there is room for it; whether it is kept."""
        ...


class KeyAuthenticator(Protocol):
    """Access keys of one form."""

    def authenticate(
        self, key: Key, client: IPv4Address | IPv6Address | None, now: float, uses: KeyUses, /
    ) -> Identity:
        """The holder of the key; `now` is in seconds since the epoch. A right key with a tag may be put into `uses`.

        Raises:
            InvalidCredentials: the key is unknown or wrong. This costs the same work in both cases.
            UnusableAccessKey: the key is right, and may not be used by this client now.
        """
        ...


class WorkloadAuthenticator(Protocol):
    """The issuers of workloads' tokens."""

    def authenticate(self, text: Secret, verified: int | None = None, /) -> Identity:
        """The workload that a token proves; the identity is valid for as long as the token at most (`valid_for`).

        `verified` is the revision of the storage that was known before; see `Identity`.

        Raises:
            InvalidCredentials: its issuer is unknown, or does not vouch for it here and now, or no policy declares it.
            BackendUnavailable: the keys of its issuer are not known.
        """
        ...

    def require_declared(self, identity: Identity) -> None:
        """Reject a workload that was authenticated a while ago, and is not declared any more.

        Raises:
            InvalidCredentials: it is not declared.
        """
        ...


@runtime_checkable
class Stamped(Protocol):
    """A user source that knows immediately, without I/O or hashing, whether its entry of a user has changed."""

    def stamp(self, username: str) -> bytes:
        """Changes whenever the user's entry does; empty for a user unknown to this source."""
        ...


@runtime_checkable
class FromFile(Protocol):
    """A user source whose users are loaded from a file, which a command may have changed since.

    Until they are loaded again, no account of it counts as ended for good.
    """

    def is_current(self) -> bool:
        """Whether the file is as it was when these users were loaded. It is not read."""
        ...


def is_current(source: object) -> bool:
    """Whether the users of a source are known to be those of now, as far as that depends on a file."""
    return source.is_current() if isinstance(source, FromFile) else True


class NamespaceOwner(Protocol):
    """A user source that knows which of its users has a namespace, the value of `${user}` in policies."""

    @property
    def name(self) -> str:
        """Its name in the configuration and in audit events."""
        ...

    def owner_of(self, namespace: str) -> str | None:
        """A user with this namespace, as the source names users; None if there is none.

        Raises:
            BackendUnavailable: I cannot tell.
        """
        ...


class Guard(Protocol):
    """Protection of all sources: login cache, throttle, and bounds on concurrent work. See `protection.guard`."""

    def login(
        self,
        credentials: Password,
        client: IPv4Address | IPv6Address | None,
        stamp: bytes,
        check: Callable[[Password], Identity],
        unavailable: Callable[[Password, BackendUnavailable], None],
    ) -> Identity:
        """Authenticate from the cache, or by `check`, which is called at most once.

        `stamp` changes with the user's entries. `unavailable` is called before a `BackendUnavailable` is raised.

        Raises whatever `check` raises, and `Throttled` or `Overloaded` where nothing was checked.
        """
        ...

    def forget(self, credentials: Password, stamp: bytes) -> None:
        """Check the next such login again, whatever the cache says."""
        ...

    def forget_token(self, token: Secret) -> None:
        """Check this token again at its next use, whatever the cache says."""
        ...

    def login_by_token(
        self, token: Secret, client: IPv4Address | IPv6Address | None, check: Callable[[Secret], Identity]
    ) -> Identity:
        """Authenticate from the cache, or by `check`, which is called at most once.

        No right token is throttled, since verifying one costs little; failures count as in `count_unknown`.

        Raises whatever `check` raises, and `Throttled` in place of a failure if there were too many.
        """
        ...

    def recall_login(self, credentials: Password, stamp_of: Callable[[str], bytes]) -> Identity | None:
        """The identity of a password from the cache alone, found by its tag; None if `login` has to be called.

        `stamp_of` gives what was the `stamp` of `login`, by the user name.
        """
        ...

    def recalling(self, token: Secret) -> Callable[[], Identity | None] | None:
        """What returns the identity of a token from the cache alone, and None once it has to be checked (again).

        None if no such token is known.
        """
        ...

    def look_up(self, about: str, stamp: bytes, check: Callable[[], Identity]) -> Identity:
        """The owner of a credential that was proved, from the cache, or by `check`, which is called at most once.

        `about` says whose it is, `stamp` what must be unchanged. Nothing is throttled.

        Raises whatever `check` raises.
        """
        ...

    def count_unknown(self, secret: Secret, client: IPv4Address | IPv6Address | None) -> None:
        """Count an unknown refresh token or access key as a failed login of this client, and of no user.

        Raises:
            Throttled: there were too many.
        """
        ...


class Rest(Protocol):
    """The remaining work of a failed login, so that its duration does not reveal which source knows the name.

    See `equal_work`.
    """

    def wrong(self, credentials: Password, number: int) -> None:
        """The source with this index knows the name, and the password is wrong. Expected errors are suppressed."""
        ...

    def unavailable(self, credentials: Password, name: str) -> None:
        """The source with this name cannot answer. Expected errors are suppressed."""
        ...
