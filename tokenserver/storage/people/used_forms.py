"""Forms that were sent: each is accepted once, however often a browser sends it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tokenserver.storage.people.seen_tokens import SeenTokens

ISSUER = "tokenserver:form"
"""No issuer of tokens has this name: it is no URL."""

KEPT_SECONDS = 86_400
"""Longer than any browser session lives, and with it the forms made for it."""


class UsedForms:
    """The forms that were sent to any worker, kept among the tokens. `now` gives seconds since the epoch."""

    def __init__(self, seen: SeenTokens, *, now: Callable[[], float]) -> None:
        self._seen = seen
        self._now = now

    def use(self, form: str) -> bool:
        """Note that this form was sent; whether it was for the first time.

        Raises:
            StorageUnavailable: nobody can tell, so the form must not be accepted.
        """
        identifier = hashlib.sha256(form.encode("utf-8", "surrogatepass")).hexdigest()
        return self._seen.is_new(ISSUER, identifier, int(self._now()) + KEPT_SECONDS)
