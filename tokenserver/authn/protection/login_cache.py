"""The login cache: recently verified logins, so that the next request of the same login needs no hash and no bind.

Only successes are cached, and never a password: entries are keyed by a MAC under a key that this process generates at
start and that never leaves it.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from tokenserver.authn.token_tags import SIZE, tag_of_secret
from tokenserver.credentials import Password, Secret
from tokenserver.identity import Identity
from tokenserver.runtime.bounded_cache import BoundedCache

REFRESH_AT = 0.8
"""The fraction of its lifetime after which one request refreshes an entry while the others still use it. Without this,
all requests of a busy user would miss the cache at the same moment."""

REFRESH_SECONDS = 10.0
"""How long the others keep using the entry before another request tries to refresh it."""


@dataclass(frozen=True, slots=True)
class CacheLifetime:
    """For how many seconds a source's answers are used: `fresh` always, `grace` longer while it is unreachable."""

    fresh: float
    grace: float = 0.0

    def within(self, seconds: float) -> CacheLifetime:
        """This lifetime, cut to end within `seconds`."""
        fresh = min(self.fresh, seconds)
        return CacheLifetime(fresh, min(self.grace, seconds - fresh))


@dataclass(slots=True)
class _Entry:
    identity: Identity
    verified: float
    lifetime: CacheLifetime
    refreshed: float

    @property
    def is_limited(self) -> bool:
        """Whether the source limits it: asking again early could use up one more grace login."""
        return self.identity.valid_for is not None and self.identity.valid_for <= self.lifetime.fresh


class LoginKey:
    """Derives cache keys: equal for the same login under the same `secret` (at most 64 bytes)."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = hashlib.blake2b(key=secret, digest_size=32)

    def __call__(self, credentials: Password, stamp: bytes = b"") -> bytes:
        """The key of these credentials while `stamp` (the user's entries in the user files) is unchanged.

        The lengths come first, so that no two logins produce the same input.
        """
        user = credentials.username.encode("utf-8", "surrogatepass")
        password = credentials.password.reveal().encode("utf-8", "surrogatepass")
        digest = self._keyed.copy()
        digest.update(b"%d,%d:%b%b%b" % (len(user), len(password), user, password, stamp))
        return digest.digest()


class VerifiedLogins:
    """The cache, of at most `size` entries; the least recently used one is evicted first.

    `lifetimes` is how long the answers of each source are used, by its name; 0 or no entry: never. `monotonic` gives
    seconds. Thread-safe.
    """

    def __init__(
        self, lifetimes: Mapping[str, CacheLifetime], *, monotonic: Callable[[], float], size: int = SIZE
    ) -> None:
        self._lifetimes = dict(lifetimes)
        self._monotonic = monotonic
        self._size = size
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, *, may_refresh: bool = True) -> Identity | None:
        """The identity verified with this login, or None if it has to be checked (again).

        Without `may_refresh`, the caller asks once more before it checks anything: an entry that is due to be refreshed
        is left to that second question.
        """
        now = self._monotonic()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            age = now - entry.verified
            if age >= entry.lifetime.fresh:
                if age >= entry.lifetime.fresh + entry.lifetime.grace:
                    del self._entries[key]
                return None
            is_due = age >= entry.lifetime.fresh * REFRESH_AT and now - entry.refreshed >= REFRESH_SECONDS
            if is_due and not entry.is_limited:
                if may_refresh:
                    entry.refreshed = now
                return None
            self._entries.move_to_end(key)
            return entry.identity

    def verified_since(self, key: bytes, moment: float) -> Identity | None:
        """The identity, if this login was verified at that moment or later, on the clock of `monotonic`."""
        with self._lock:
            entry = self._entries.get(key)
            return entry.identity if entry is not None and entry.verified >= moment else None

    def without_source(self, key: bytes, source: str) -> Identity | None:
        """The last identity verified with this login, for use while `source` is unreachable.

        Past its lifetime, only within the source's grace, and only if it came from this very source; such an identity
        is marked as `stale`.
        """
        now = self._monotonic()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            age = now - entry.verified
            if age < entry.lifetime.fresh:
                return entry.identity
            if entry.identity.source == source and age < entry.lifetime.fresh + entry.lifetime.grace:
                return replace(entry.identity, stale=True)
            return None

    def remember(self, key: bytes, identity: Identity, at_most: float | None = None) -> None:
        """Cache a login that was verified just now, for no longer than its `valid_for`.

        It is used for `at_most` seconds before it is verified again, whatever the lifetime of its source.
        """
        lifetime = self._lifetimes.get(identity.source)
        if lifetime is not None and at_most is not None and lifetime.fresh > at_most:
            lifetime = CacheLifetime(at_most, lifetime.grace)
        if lifetime is not None and identity.valid_for is not None:
            lifetime = lifetime.within(identity.valid_for)
        if lifetime is None or lifetime.fresh <= 0:
            return
        now = self._monotonic()
        with self._lock:
            self._entries[key] = _Entry(identity, now, lifetime, now)
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def forget(self, key: bytes) -> None:
        """Remove a login that is no longer right."""
        with self._lock:
            self._entries.pop(key, None)


class RecalledSecrets:
    """Finds verified tokens and passwords by their tags. Their keys are kept, since deriving one takes longer.

    Whether they have to be checked again is up to the cache.
    """

    def __init__(self, logins: VerifiedLogins) -> None:
        self._logins = logins
        self._keys: BoundedCache[bytes, bytes] = BoundedCache(SIZE)
        self._keys_of_logins: BoundedCache[bytes | None, tuple[bytes, bytes]] = BoundedCache(SIZE)

    def login(self, credentials: Password, stamp_of: Callable[[str], bytes]) -> Identity | None:
        """The identity verified with this login, or None if it has to be checked (again), or to be found by its key.

        `stamp_of` gives the stamp of a user now: with another one than at its verification, this is another login.
        """
        known = self._keys_of_logins.get(credentials.password.tag)
        if known is None or not hmac.compare_digest(known[0], stamp_of(credentials.username)):
            return None
        return self._logins.get(known[1], may_refresh=False)

    def learn_login(self, credentials: Password, stamp: bytes, key: bytes) -> None:
        """Find this login, which is in the cache under `key`, by its tag from now on, if it has one."""
        tag = credentials.password.tag
        if tag is not None:
            self._keys_of_logins.offer(tag, (stamp, key))

    def recalling(self, token: Secret) -> Callable[[], Identity | None] | None:
        """What returns the identity verified with this token, or None if it has to be checked (again).

        None if no such token was verified.
        """
        key = self._keys.get(token.tag or tag_of_secret(token))
        return None if key is None else partial(self._logins.get, key, may_refresh=False)

    def learn(self, token: Secret, key: bytes) -> None:
        """Find this token, which is in the cache under `key`, by its tag from now on."""
        self._keys.put(token.tag or tag_of_secret(token), key)
