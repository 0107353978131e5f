"""In a rush, a token that was signed a moment ago is given again to whoever gets the very same one.

While there is no rush, every answer has a token of its own: signing is cheap enough then, and an id that stands in
one answer alone tells more.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.tokens.issuer import Token

RUSH = 500
"""Tokens asked for in one second, in one process, from which on there is a rush."""

SIZE = 2048

LIFETIME_SHARE = 10
"""A token is given again for at most this part of its lifetime: one tenth."""


class Reuse:
    """Remembers tokens for at most `seconds`. `now` gives seconds since the epoch."""

    def __init__(self, seconds: int, *, now: Callable[[], float], rush: int = RUSH) -> None:
        self._seconds = seconds
        self._now = now
        self._rush = rush
        self._tokens: BoundedCache[Hashable, Token] = BoundedCache(SIZE)
        self._second = 0
        self._asked = self._asked_before = 0

    def token(self, key: Hashable, sign: Callable[[], Token]) -> Token:
        """The token of `key`: a remembered one in a rush, else one that `sign` makes now.

        What is equal under `key` must have the same identity, registry, access, lifetime and signing key.
        """
        now = self._now()
        if not self._is_rush(int(now)):
            return sign()
        token = self._tokens.get(key)
        if token is not None and 0 <= now - token.issued_at < min(self._seconds, token.expires_in / LIFETIME_SHARE):
            return token
        token = replace(sign(), is_shared=True)
        self._tokens.put(key, token)
        return token

    def _is_rush(self, second: int) -> bool:
        # Without a lock: two threads that count at once may lose one, and a rush does not begin with a single request.
        if second != self._second:
            self._asked_before = self._asked if second == self._second + 1 else 0
            self._second, self._asked = second, 0
        self._asked += 1
        return self._asked > self._rush or self._asked_before > self._rush
