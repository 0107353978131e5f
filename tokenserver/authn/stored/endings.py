"""Ends credentials whose owner is gone, disabled or has another password, so that they do not come back to life."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tokenserver.authn.stored.ports import Ending
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.bounded_cache import BoundedCache

MAX_ENDED = 10_000
"""Credentials that this process knows to have ended; older ones have been ended in the storage by then."""

logger = logging.getLogger("tokenserver.authn")


class Endings:
    """The credentials that ended because of their owners, kept across reloads. Safe for concurrent use by threads.

    One that the storage could not end yet is ended at its next use, and refused until then.
    """

    def __init__(self, end: Ending) -> None:
        self._end = end
        self._ended: BoundedCache[str, tuple[str, bool]] = BoundedCache(MAX_ENDED)
        self.known = self._ended.get

    known: Callable[[str], tuple[str, bool] | None]
    """What this process knows about the end of a credential; None: nothing. This is the dictionary's own method."""

    def reason(self, identifier: str) -> str | None:
        """Why the credential has ended, as far as this process knows; None while it does not know of any reason."""
        found = self._ended.get(identifier)
        if found is None:
            return None
        reason, is_stored = found
        if not is_stored:
            self.end(identifier, reason)
        return reason

    def end(self, identifier: str, reason: str) -> None:
        """End the credential, here and in the storage as soon as that answers."""
        is_stored = True
        try:
            self._end(identifier, reason)
        except BackendUnavailable as error:
            is_stored = False
            logger.warning("credential %s could not be ended in the storage yet: %s", identifier, error.reason)
        self._ended.put(identifier, (reason, is_stored))
