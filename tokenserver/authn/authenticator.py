"""The contracts of authentication: what every user source, and what stands in front of it, must keep to."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, runtime_checkable

from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable
from tokenserver.identity import Identity


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
        check: Callable[[Password], Identity],
        unavailable: Callable[[Password, BackendUnavailable], None],
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
