"""The people of OpenID providers as the storage last had them, for a while in which it does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from tokenserver.authn.oidc.ports import PeopleStore
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.storage.people.openid_person import OpenIdPerson

MAX_KNOWN = 10_000


class KnownPeople:
    """Finds people in the storage; while it does not answer, as they were, for `grace()` seconds. `monotonic` too."""

    def __init__(
        self, store: PeopleStore, *, grace: Callable[[], float], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = store
        self._grace = grace
        self._monotonic = monotonic
        self._known: BoundedCache[tuple[str, str], tuple[float, OpenIdPerson | None]] = BoundedCache(MAX_KNOWN)

    def find(self, source: str, subject: str) -> OpenIdPerson | None:
        """The person of this name; None if nobody has logged in by it.

        Raises:
            BackendUnavailable: the storage has not answered for too long.
        """
        key, now = (source, subject), self._monotonic()
        try:
            found = self.store.find(source, subject)
        except BackendUnavailable:
            known = self._known.get(key)
            if known is None or now - known[0] >= self._grace():
                raise
            return known[1]
        self._known.put(key, (now, found))
        return found
