"""Refresh tokens and sessions in the storage: the newest login always gets one, and the limit ends older ones.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

from tokenserver.exchange.stored.logins import NewLogin
from tokenserver.storage.credential import StoredCredential, WorkloadProof
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore

SERVER = "server"
"""The actor in `ended_by` of credentials that are ended automatically."""


class StoredLogins:
    """A `LoginStore`, and an `Ending`."""

    def __init__(self, store: CredentialStore) -> None:
        self._store = store

    def begin(
        self, wanted: StoredCredential, at_most: int, verified: int | None, proof: WorkloadProof | None = None
    ) -> NewLogin:
        """See `LoginStore.begin`."""
        reason = f"displaced by a newer login: the limit is {at_most}"
        key, made, displaced = self._store.create_in_place(
            wanted,
            at_most=at_most,
            by=SERVER,
            reason=reason,
            verified=verified,
            proof=proof,
        )
        return NewLogin(key.id, key.text, made.created, made.ends, displaced)

    def end(self, identifier: str, reason: str) -> None:
        """End one credential for this reason.

        Raises:
            StorageUnavailable: it was not ended.
        """
        self._store.end(Selection(ids=frozenset({identifier})), by=SERVER, reason=reason)
