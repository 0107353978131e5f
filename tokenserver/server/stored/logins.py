"""Refresh tokens and sessions in the storage: the newest login always gets one, and the limit ends older ones.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.exchange.stored.logins import NewLogin
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import Listed, Selection
from tokenserver.storage.store import CredentialStore, TooManyCredentials
from tokenserver.storage.unavailable import StorageUnavailable

SERVER = "server"
"""Who ends credentials that nobody ends by hand."""

ATTEMPTS = 5
"""How often a login tries to make room for its credential while others of the same owner take it."""


class StoredLogins:
    """A `LoginStore`, and an `Ending`. `now` gives seconds since the epoch."""

    def __init__(self, store: CredentialStore, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def begin(self, wanted: StoredCredential, at_most: int) -> NewLogin:
        """See `LoginStore.begin`."""
        displaced: list[str] = []
        for _ in range(ATTEMPTS):
            try:
                key, made = self._store.create(wanted, at_most=at_most)
            except TooManyCredentials:
                displaced += self._displace(wanted, at_most)
            else:
                return NewLogin(key.id, key.text, made.created, made.ends, tuple(displaced))
        raise StorageUnavailable(f"{wanted.owner} logs in too often at a time", retry_after=1)

    def end(self, identifier: str, reason: str) -> None:
        """End one credential for this reason.

        Raises:
            StorageUnavailable: it was not ended.
        """
        self._store.end(Selection(ids=frozenset({identifier})), by=SERVER, reason=reason)

    def _displace(self, wanted: StoredCredential, at_most: int) -> list[str]:
        """End those that are unused for longest, so that there is room for one more."""
        selection = Selection(owner=wanted.owner, source=wanted.source, forms=frozenset({wanted.form}))
        now = self._now()
        live = [one for one in self._store.listed(selection) if one.ended is None and one.credential.ends > now]
        surplus = max(0, len(live) - at_most + 1)
        ids = frozenset(one.credential.id for one in sorted(live, key=_last_use)[:surplus])
        reason = f"displaced by a newer login: the limit is {at_most}"
        return self._store.end(Selection(ids=ids), by=SERVER, reason=reason) if ids else []


def _last_use(listed: Listed) -> tuple[int, int]:
    created = listed.credential.created
    return (created if listed.use is None else max(created, listed.use.last), created)
