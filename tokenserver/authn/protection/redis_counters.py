"""Counters of failed logins that all replicas share, in Redis, through the library `limits`; the only importer of it.

Redis learns little: names and addresses are numbers of counters, and a refused login is a tag under a key that the
replicas share and clients do not know. When Redis does not answer, no login waits for it: the failure is logged, and
each server counts by itself until a thread that probes Redis once a second finds it working again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from tokenserver.authn.protection.failure_counters import Limit, Limits
from tokenserver.authn.protection.redis_connections import ANSWER_SECONDS, TimeBudget, bounded_pool
from tokenserver.authn.protection.throttle import GOOD_SECONDS, Counted, Standing
from tokenserver.credentials import Secret
from tokenserver.runtime.shared_memory import TAG_BYTES

logger = logging.getLogger("tokenserver.authn")

SOCKET_SECONDS = ANSWER_SECONDS

SLOW_SECONDS = 0.25
"""For one whole operation, including the connection. A slower Redis is treated as down."""

PROBE_SECONDS = 1.0
"""How often a Redis that is down is probed, by a thread and never by a login."""

NOTE = "redis does not answer; each server counts failed logins by itself until it does"

_PREFIX = "tokenserver"

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class _Windows:
    """The limits in the types of the library `limits`."""

    user: tuple[RateLimitItem, ...]
    address: tuple[RateLimitItem, ...]
    total: tuple[RateLimitItem, ...]


class SharedFailures:
    """The counters of all replicas. `url` is redis://, rediss:// or redis+unix://; its password is never part of it.

    `limits` are for all of them together. A login that was refused is known as the same one for `repeat` seconds, by
    replicas that have the same `key` (16 to 64 bytes). With another key it counts once more.
    `workers` processes share a machine: each assumes that the others have as many tries under way as it has itself.
    `monotonic` is in seconds. Methods are thread-safe, and never raise.
    """

    def __init__(
        self,
        url: str,
        password: Secret | None,
        limits: Limits,
        *,
        key: bytes,
        repeat: float,
        workers: int,
        monotonic: Callable[[], float],
    ) -> None:
        """Connect to nothing yet.

        Raises:
            ValueError: the URL has options that the client cannot use.
        """
        self._budget = TimeBudget()
        pool = bounded_pool(url, None if password is None else password.reveal(), self._budget)
        storage = RedisStorage(url, connection_pool=pool, key_prefix=_PREFIX)
        self._key = key
        self._moving = MovingWindowRateLimiter(storage)
        self._fixed = FixedWindowRateLimiter(storage)
        self.limit(limits, repeat=repeat)
        self._known = RateLimitItemPerSecond(1, GOOD_SECONDS)
        self._workers = workers
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._is_down = False

    def limit(self, limits: Limits, *, repeat: float) -> None:
        """See `Together`. Redis counts failures by their limit, so those under the previous one are not seen."""
        self.limits = limits
        self._windows = _Windows(_items(limits.user), _items(limits.address), _items(limits.total))
        self._again = RateLimitItemPerSecond(1, max(1, ceil(repeat)))

    @property
    def note(self) -> str | None:
        """What `/readyz` reports about Redis; None while it works."""
        return NOTE if self._is_down else None

    def was_refused(self, counted: Counted) -> bool:
        """Whether a replica rejected this very login a moment ago."""
        return self._ask(lambda: not self._fixed.test(self._again, *self._login(counted))) or False

    def standing(self, counted: Counted) -> Standing | None:
        """The state of the counters of this user, this address and in total; None if Redis does not answer."""
        return self._ask(lambda: self._standing(counted))

    def failed(self, counted: Counted, *, is_good: bool) -> None:
        """One more failure, unless it is the same login again. `is_good`: at a place where the user is known."""
        self._ask(lambda: self._count(counted, is_good=is_good))

    def succeeded(self, counted: Counted) -> None:
        """The user is known at this place from now on."""
        if counted.place:
            self._ask(lambda: self._fixed.hit(self._known, "good", _digest(counted)))

    def _standing(self, counted: Counted) -> Standing:
        is_good = bool(counted.place) and not self._fixed.test(self._known, "good", _digest(counted))
        if is_good:
            left, wait = self._left(self._windows.user, "place", counted.pair)
            return Standing(left, wait, 0.0, is_good=True, weight=self._workers)
        left, wait = self._left(self._windows.user, "user", counted.user)
        others = [self._left(self._windows.total, "total", 0)]
        if counted.place:
            others.append(self._left(self._windows.address, "address", counted.address))
        waits = [seconds for remaining, seconds in others if remaining <= 0]
        return Standing(left, wait, max(waits, default=0.0), is_good=False, weight=self._workers)

    def _left(self, items: Sequence[RateLimitItem], kind: str, bucket: int) -> tuple[int, float]:
        """Failures left in the fullest of these windows, and the seconds until that changes."""
        now = time.time()  # what `limits` goes by
        found = []
        for item in items:
            stats = self._moving.get_window_stats(item, kind, str(bucket))
            # Never longer than the window, whatever the clock skew between the machines.
            found.append((stats.remaining, min(max(stats.reset_time - now, 0.0), float(item.get_expiry()))))
        least = min((remaining for remaining, _ in found), default=1)
        return least, max((wait for remaining, wait in found if remaining <= max(least, 0)), default=0.0)

    def _count(self, counted: Counted, *, is_good: bool) -> None:
        if not self._fixed.hit(self._again, *self._login(counted)):
            return
        counters = [(self._windows.user, "user", counted.user), (self._windows.total, "total", 0)]
        if is_good:
            counters.append((self._windows.user, "place", counted.pair))
        if counted.place:
            counters.append((self._windows.address, "address", counted.address))
        for items, kind, bucket in counters:
            for item in items:
                self._moving.hit(item, kind, str(bucket))

    def _login(self, counted: Counted) -> tuple[str, str, str]:
        """The Redis key of a refused login; without the secret key it is of no use for guessing passwords."""
        tag = hashlib.blake2b(counted.tag, key=self._key, digest_size=TAG_BYTES)
        return "again", str(counted.user), tag.hexdigest()

    def _ask(self, question: Callable[[], _Answer]) -> _Answer | None:
        if self._is_down:
            return None
        start = self._monotonic()
        try:
            with self._budget.within(SLOW_SECONDS):
                answer = question()
        except Exception as error:  # a malformed answer can make `limits` fail in any way
            self._gave_up(f"{type(error).__name__}: {error}")
            return None
        if self._monotonic() - start > SLOW_SECONDS:
            self._gave_up("too slow")
        return answer

    def _gave_up(self, reason: str) -> None:
        with self._lock:
            if self._is_down:
                return
            self._is_down = True
        text = "".join(character if character.isprintable() else "?" for character in reason)[:200]
        logger.warning("throttle: redis does not answer (%s); each server counts failed logins by itself", text)
        threading.Thread(target=self._recover, name="throttle-redis", daemon=True).start()

    def _recover(self) -> None:
        """Probe Redis until it accepts a write in time."""
        probe = RateLimitItemPerSecond(1, 10)
        while self._is_down:
            time.sleep(PROBE_SECONDS)
            start = self._monotonic()
            try:
                with self._budget.within(SLOW_SECONDS):
                    self._fixed.hit(probe, "probe")
            except Exception:  # noqa: S112 - as in `_ask`; that it does not answer is in the log already
                continue
            if self._monotonic() - start <= SOCKET_SECONDS:
                logger.warning("throttle: redis answers again; all replicas count failed logins together")
                self._is_down = False


def _items(limits: Sequence[Limit]) -> tuple[RateLimitItem, ...]:
    return tuple(RateLimitItemPerSecond(limit.failures, max(1, ceil(limit.seconds))) for limit in limits)


def _digest(counted: Counted) -> str:
    """The digest of a user and a place, so that neither can be read in Redis."""
    return hashlib.blake2b(
        f"{counted.place} {counted.name}".encode("utf-8", "surrogatepass"), digest_size=16
    ).hexdigest()
