"""What the authentication of stored credentials needs of the storage, as protocols."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from tokenserver.credentials import Key
from tokenserver.storage.credential import StoredCredential

Address = IPv4Address | IPv6Address


class VerifiedKey(Protocol):
    """A stored credential whose secret was presented; another object once it has changed.

    See `storage.index.HeldCredential`.
    """

    @property
    def credential(self) -> StoredCredential:
        """What is stored."""
        ...

    @property
    def ended(self) -> str | None:
        """Why it has been ended; None while it is active. It may have expired all the same."""
        ...

    @property
    def used(self) -> int | None:
        """The last use in seconds since the epoch; None if there was none."""
        ...


class KeyIndex(Protocol):
    """The stored credentials by their keys. See `storage.index.CredentialIndex`."""

    def verified(self, key: Key) -> VerifiedKey | None:
        """The credential of this key; None if its id is unknown or its secret wrong, at equal work.

        Raises:
            BackendUnavailable: the storage cannot tell.
        """
        ...

    def is_current(self, identifier: str, held: object, /) -> bool:
        """Whether `held`, which `verified` returned for a key with this id, is what it would return now.

        False as well if it cannot tell without the key.
        """
        ...

    @property
    def touch(self) -> Touch:
        """Records a use."""
        ...


class Touch(Protocol):
    """Records a use of a credential."""

    def __call__(self, identifier: str, moment: float, client: Address | None, /) -> None:
        """The credential was used at this moment, in seconds since the epoch, by a client with this address."""
        ...


class Ending(Protocol):
    """Ends a credential in the storage."""

    def __call__(self, identifier: str, reason: str, /) -> None:
        """End it for good, for this reason.

        Raises:
            BackendUnavailable: the storage does not answer.
        """
        ...
