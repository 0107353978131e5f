"""Reuse of tokens: under load, a recently signed token is reused for requests that would get an identical one.

Otherwise every response has a token of its own: signing is cheap enough then, and an id that appears in one response
alone is worth more in an investigation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.tokens.issuer import Token

RUSH = 500
"""Tokens per second in one process above which tokens are reused."""

SIZE = 2048

LIFETIME_SHARE = 10
"""A token is reused for at most this part of its lifetime: one tenth."""


class Reuse:
    """Caches tokens for at most `seconds`. `now` gives seconds since the epoch."""

    def __init__(self, seconds: int, *, now: Callable[[], float], rush: int = RUSH) -> None:
        self._seconds = seconds
        self._now = now
        self._rush = rush
        self._tokens: BoundedCache[Hashable, Token] = BoundedCache(SIZE)
        self._second = 0
        self._requested = self._requested_before = 0

    def token(self, key: Hashable | None, sign: Callable[[], Token], *, weight: int = 1) -> Token:
        """The token of `key`: a cached one under load, else one that `sign` makes now.

        Requests with the same `key` must have the same identity, registry, access, lifetime and signing key. Without a
        key, the request counts as load, and nobody else gets its token. `weight`: as how many tokens it counts.
        """
        now = self._now()
        if not self._is_rush(int(now)) or key is None:
            return sign()
        token = self._tokens.get(key)
        if token is not None and 0 <= now - token.issued_at < min(self._seconds, token.expires_in / LIFETIME_SHARE):
            return token
        token = sign()._replace(is_shared=True)
        self._tokens.put(key, token, weight)
        return token

    def _is_rush(self, second: int) -> bool:
        # Without a lock: two threads that count concurrently may lose one, and one request more or less is no load.
        if second != self._second:
            self._requested_before = self._requested if second == self._second + 1 else 0
            self._second, self._requested = second, 0
        self._requested += 1
        return self._requested > self._rush or self._requested_before > self._rush
