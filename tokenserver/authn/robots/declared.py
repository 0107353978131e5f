"""Authentication of declared robots: an index of their secrets, by the ids in their access keys.

There is no login cache and no shared check: verification is one SHA-256 of 66 characters, which takes a microsecond.
What was sent before is found by its tag, and its end and its networks are checked as at the first use. So a secret that
was removed, has expired or is used from elsewhere is rejected immediately.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from tokenserver.access_keys import DeclaredSecret
from tokenserver.authn.authenticator import KeyUses
from tokenserver.authn.usernames import canonical
from tokenserver.credentials import Key
from tokenserver.errors import InvalidCredentials, UnusableAccessKey
from tokenserver.identity import ROBOT_PREFIX, Identity, Kind

ROBOTS = "robots"
"""The name of this source in identities, audit events and metrics. No user source of the configuration has it."""

NEUTRAL_NAMES = frozenset({"", "<token>", "token"})
"""User names that fit every key."""

_NOBODY = DeclaredSecret("", bytes(32), datetime.max.replace(tzinfo=UTC))


class DeclaredRobot(Protocol):
    """A robot of the policy files."""

    @property
    def name(self) -> str:
        """Its name, without the prefix of its subject."""
        ...

    @property
    def secrets(self) -> tuple[DeclaredSecret, ...]:
        """Its secrets. No two robots have one with the same id."""
        ...


@dataclass(frozen=True, slots=True)
class _Holder:
    """A secret with its robot's identity. `names` fit it as user names, `ends` is in seconds since the epoch."""

    secret: DeclaredSecret
    names: frozenset[str]
    ends: float
    identity: Identity

    def again(self, client: IPv4Address | IPv6Address | None, now: float) -> Identity | None:
        """See `KeyUse.again`."""
        secret = self.secret
        if now < self.ends and (not secret.networks or secret.allows(client)):
            return self.identity
        return None


class DeclaredRobots:
    """The secrets of these robots. A reload of the policies replaces the whole."""

    def __init__(self, robots: Iterable[DeclaredRobot]) -> None:
        declared = tuple(robots)
        self._holders = {secret.id: _holder(robot.name, secret) for robot in declared for secret in robot.secrets}
        self._robots = {robot.name: _identity(robot.name) for robot in declared}

    def __len__(self) -> int:
        return len(self._holders)

    def __contains__(self, identifier: str) -> bool:
        """Whether one of them has a secret with this id."""
        return identifier in self._holders

    def robot(self, name: str) -> Identity:
        """The identity of the robot with this name, always the same object, for a secret that is stored elsewhere.

        Raises:
            InvalidCredentials: it is not declared.
        """
        found = self._robots.get(name)
        if found is None:
            raise InvalidCredentials(f"robot {name} is not declared")
        return found

    def authenticate(
        self, key: Key, client: IPv4Address | IPv6Address | None, now: float, uses: KeyUses, /
    ) -> Identity:
        """See `KeyAuthenticator.authenticate`. The user name must be the robot's, or one of `NEUTRAL_NAMES`."""
        holder = self._holders.get(key.id)
        is_right = (_NOBODY if holder is None else holder.secret).matches(key.text)
        if holder is None:
            raise InvalidCredentials(f"unknown access key {key.id}")
        if not is_right:
            raise InvalidCredentials(f"wrong secret of access key {key.id}")
        # From here on the client has proved that it has the key.
        if key.name not in holder.names and canonical(key.name) not in holder.names:
            reason = f"account differs from {holder.identity.subject} of access key {key.id}"
            raise UnusableAccessKey(reason, "the access key has another user name; fix: use token as the user name")
        if now >= holder.ends:
            day = f"{holder.secret.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            reason = f"access key {key.id} of {holder.identity.subject} expired on {day}"
            raise UnusableAccessKey(reason, f"the access key expired on {day}; fix: use a newer one")
        if holder.secret.networks and not holder.secret.allows(client):
            where = "an unknown address" if client is None else str(client)
            reason = f"access key {key.id} of {holder.identity.subject} is not valid from {where}"
            raise UnusableAccessKey(reason, f"the access key is not valid from {where}; fix: use it in its networks")
        tag = key.text.tag
        if tag is not None:
            uses.offer(tag, holder)
        return holder.identity


def _holder(robot: str, secret: DeclaredSecret) -> _Holder:
    identity = replace(_identity(robot), credential=secret.id)
    return _Holder(secret, NEUTRAL_NAMES | {robot, f"robot/{robot}"}, secret.expires.timestamp(), identity)


def _identity(robot: str) -> Identity:
    return Identity(f"{ROBOT_PREFIX}{robot}", Kind.ROBOT, ROBOTS)
