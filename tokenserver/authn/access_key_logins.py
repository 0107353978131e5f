"""Logins by access keys: those that policy files declare, and those that are stored.

Failures are throttled by the address of the client, but no right key: checking one costs next to nothing, and nobody
can guess 256 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from tokenserver.authn.authenticator import Guard, KeyAuthenticator, KeyUse
from tokenserver.authn.token_tags import SIZE
from tokenserver.credentials import AccessKeyForm, Key, Secret
from tokenserver.errors import InvalidCredentials, Throttled, UnknownRefreshToken, UnusableAccessKey
from tokenserver.identity import Identity
from tokenserver.runtime.bounded_cache import BoundedCache

_ROBOT = AccessKeyForm.ROBOT  # looking up members of an enumeration takes time
_LOGINS = (AccessKeyForm.REFRESH, AccessKeyForm.SESSION)


class RobotAuthenticator(KeyAuthenticator, Protocol):
    """The access keys of robots that policy files declare."""

    def __contains__(self, identifier: str) -> bool:
        """Whether a policy file declares the key with this id."""
        ...


class AccessKeyLogins:
    """Authenticates access keys. `now` gives seconds since the epoch; `guard` counts failures."""

    def __init__(
        self,
        robots: RobotAuthenticator | None,
        stored: KeyAuthenticator | None,
        guard: Guard | None,
        now: Callable[[], float],
    ) -> None:
        self._robots = robots
        self._stored = stored
        self._guard = guard
        self._now = now
        self.uses: BoundedCache[bytes, KeyUse] = BoundedCache(SIZE)
        """The uses of keys that these authenticators have verified."""

    def authenticate(self, key: Key, client: IPv4Address | IPv6Address | None) -> Identity:
        """The client that the key proves.

        Raises:
            InvalidCredentials: the key is unknown or wrong, or `UnusableAccessKey`.
            BackendUnavailable: nobody can tell now.
            Throttled: the key is unknown or wrong, as were too many before.
        """
        try:
            robots = self._robots
            if key.form is _ROBOT and robots is not None and (self._stored is None or key.id in robots):
                return robots.authenticate(key, client, self._now(), self.uses)
            if self._stored is not None:
                return self._stored.authenticate(key, client, self._now(), self.uses)
            raise UnknownRefreshToken if key.form in _LOGINS else InvalidCredentials(f"unknown access key {key.id}")
        except UnusableAccessKey:
            raise  # no guess
        except InvalidCredentials:
            fix = UnknownRefreshToken.fix if key.form in _LOGINS else ""
            count_unknown(self._guard, key.text, client, fix)
            raise


def count_unknown(guard: Guard | None, secret: Secret, client: IPv4Address | IPv6Address | None, fix: str = "") -> None:
    """Count an unknown secret as a failure of this client.

    Raises:
        Throttled: there were too many; `fix` is what the client can do instead of waiting.
    """
    if guard is not None:
        try:
            guard.count_unknown(secret, client)
        except Throttled as error:
            raise Throttled(error.retry_after, fix) from error
