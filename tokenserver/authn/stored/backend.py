"""Authentication by stored credentials: possession, the gate, the owner of now, and the identity within its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tokenserver.authn.authenticator import KeyUses
from tokenserver.authn.stored.endings import Endings
from tokenserver.authn.stored.gate import NOUNS, VIA, check, fix_for, is_open
from tokenserver.authn.stored.new_networks import NewNetworks
from tokenserver.authn.stored.owners import Owners, with_credential
from tokenserver.authn.stored.ports import Address, KeyIndex, Touch, VerifiedKey
from tokenserver.credentials import AccessKeyForm, Key
from tokenserver.errors import AccountEnded, InvalidCredentials, LoginTooOld, UnknownRefreshToken, UnusableAccessKey
from tokenserver.identity import Identity
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.storage.credential import StoredCredential

MAX_BUILT = 10_000
"""Credentials whose identities are kept; building one again takes ten microseconds."""

RECENT_SECONDS = 1.0
"""For how long a use of a credential relies on the owner that was found at an earlier one."""

_LOGINS = (AccessKeyForm.REFRESH, AccessKeyForm.SESSION)


@dataclass(frozen=True, slots=True)
class _Checks:
    """What is checked at each use of every credential."""

    is_current: Callable[[str, object], bool]
    ending: Callable[[str], object]
    touch: Touch
    monotonic: Callable[[], float]


class _Built:
    """The identity of a credential at its last use, with what it was made of; a `KeyUse`.

    `client` is the address of the last client. The owner is looked up again from `until` on.
    """

    __slots__ = ("_checks", "client", "held", "identity", "owner", "until")

    def __init__(self, checks: _Checks, held: VerifiedKey, owner: Identity) -> None:
        self._checks = checks
        self.held = held
        self.owner = owner
        self.identity = with_credential(owner, held.credential, VIA[held.credential.form])
        self.client: Address | None = None
        self.until = 0.0

    def again(self, client: Address | None, now: float) -> Identity | None:
        """See `KeyUse.again`. All is checked here that `StoredCredentials.authenticate` checks."""
        held, checks = self.held, self._checks
        identifier = held.credential.id
        if (
            (client is self.client or client == self.client)  # another network is to be noted
            and checks.monotonic() < self.until
            and checks.is_current(identifier, held)
            and is_open(held, client, now)
            and checks.ending(identifier) is None
        ):
            checks.touch(identifier, now, client)
            return self.identity
        return None


class StoredCredentials:
    """A `KeyAuthenticator` for the credentials in the storage. A reload of users or policies replaces the whole.

    People of the user sources in `uncached` are looked up at each use. `monotonic` gives seconds.
    """

    def __init__(
        self,
        index: KeyIndex,
        owners: Owners,
        endings: Endings,
        networks: NewNetworks,
        *,
        uncached: Collection[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._checks = _Checks(index.is_current, endings.known, index.touch, monotonic)
        self._owners = owners
        self._endings = endings
        self._networks = networks
        self._uncached = frozenset(uncached)
        self._monotonic = monotonic
        self._built: BoundedCache[str, _Built] = BoundedCache(MAX_BUILT)

    def authenticate(self, key: Key, client: Address | None, now: float, uses: KeyUses, /) -> Identity:
        """The client that a key proves. See `KeyAuthenticator.authenticate`.

        Raises:
            BackendUnavailable: the storage or the user source of the owner cannot tell.
        """
        held = self._index.verified(key)
        if held is None:
            raise UnknownRefreshToken if key.form in _LOGINS else InvalidCredentials(f"unknown access key {key.id}")
        credential = held.credential
        check(held, key.name, client, now)
        ended = self._endings.reason(credential.id)
        if ended is not None:
            raise _refusal(credential, ended)
        moment, tag = self._monotonic(), key.text.tag
        built = self._built.get(key.id)
        if built is None or moment >= built.until or built.held is not held:
            owner = self._owner(credential)
            if built is None or built.owner is not owner or built.held is not held:
                built = _Built(self._checks, held, owner)
                self._built.put(key.id, built)
            if owner.source not in self._uncached:
                built.until = moment + RECENT_SECONDS
        elif tag is not None and uses.get(tag) is not built:  # from the second use on: some keys are used once
            uses.offer(tag, built)
        if client is not built.client and client != built.client:  # comparing addresses takes time
            self._networks.note(credential, client)
            built.client = client
        self._index.touch(key.id, now, client)
        return built.identity

    def _owner(self, credential: StoredCredential) -> Identity:
        try:
            return self._owners.owner(credential)
        except AccountEnded as error:
            if credential.form is AccessKeyForm.REFRESH:  # not a key: its owner made it on purpose, and may return
                self._endings.end(credential.id, error.reason)
            raise _refusal(credential, error.reason) from error
        except LoginTooOld as error:
            public = f"the owner of the {NOUNS[credential.form]} has to log in again: {error.login_page}"
            raise UnusableAccessKey(f"{credential.id} of {credential.owner}: {error.reason}", public) from error
        except InvalidCredentials as error:
            raise _refusal(credential, error.reason) from error


def _refusal(credential: StoredCredential, reason: str) -> UnusableAccessKey:
    """The error for a credential whose owner is no good; the client does not learn why."""
    noun = NOUNS[credential.form]
    public = f"the owner of the {noun} cannot log in now"
    if credential.form in _LOGINS:
        public = f"the {noun} has ended; fix: {fix_for(credential.form)}"
    return UnusableAccessKey(f"{noun} {credential.id} of {credential.owner}: {reason}", public)
