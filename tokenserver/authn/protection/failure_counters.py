"""Failed logins, counted by this process: how many are allowed within which time, in a bounded memory."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

BUCKETS = 1 << 15
"""Names and addresses share this many counters of each kind, by a hash: a million random names take no more memory
than these, and none of them pushes the counter of a real user out, as it would in a cache."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `failures` within any `seconds`."""

    failures: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process allows. `user` holds several, each for a longer time, so that whoever goes on waits longer."""

    user: tuple[Limit, ...]
    address: tuple[Limit, ...]
    total: tuple[Limit, ...]


def growing(failures: int, seconds: float) -> tuple[Limit, ...]:
    """The limit, and with it: two more failures within six times the time, twice as many within 24 times the time.

    5 in 5 minutes, 7 in half an hour, 10 in two hours: below what directories lock an account at.
    """
    return (Limit(failures, seconds), Limit(failures + 2, seconds * 6), Limit(failures * 2, seconds * 24))


def shared(limits: Sequence[Limit], workers: int) -> tuple[Limit, ...]:
    """What each of several processes may allow, so that all together allow about `limits`; two failures at least."""
    return tuple(Limit(max(2, -(-limit.failures // workers)), limit.seconds) for limit in limits)


def halved(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """Half of each limit; one failure at least."""
    return tuple(Limit(max(1, limit.failures // 2), limit.seconds) for limit in limits)


class Failures:
    """When failures happened, in a bounded number of counters, each of which keeps what `limits` need.

    With `common`, the limits of all processes together, it keeps what these need as well. See `wait`.
    """

    def __init__(self, limits: Sequence[Limit], *, common: Sequence[Limit] = (), buckets: int = BUCKETS) -> None:
        self._limits = tuple(limits)
        self._common = tuple(common)
        self._kept = max((limit.failures for limit in (*limits, *common)), default=0)
        self._longest = max((limit.seconds for limit in (*limits, *common)), default=0.0)
        self._buckets = buckets
        self._times: dict[int, array[float]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def bucket(self, text: str) -> int:
        """The counter of a name or an address."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._buckets

    def wait(self, bucket: int, now: float, under_way: int = 0, *, common: bool = False) -> float:
        """For how many seconds no further failure is possible; 0: one is. `under_way` are tries without an answer.

        With `common`, what this process has seen is measured against the limits of all processes together.
        """
        times = self._times.get(bucket)
        waits = [self._wait(times, limit, now, under_way) for limit in (self._common if common else self._limits)]
        return max(waits, default=0.0)

    def add(self, bucket: int, now: float) -> None:
        """One more failure."""
        if not self._kept:
            return
        times = self._times.get(bucket)
        if times is None:
            times = self._times[bucket] = array("d")
        # What is older than every limit, or more than any of them counts, is of no use.
        del times[: max(bisect_right(times, now - self._longest), len(times) + 1 - self._kept)]
        times.append(now)

    def _wait(self, times: array[float] | None, limit: Limit, now: float, under_way: int) -> float:
        recent = len(times) - bisect_right(times, now - limit.seconds) if times else 0
        if recent + under_way < limit.failures:
            return 0.0
        # With only tries under way in front there is no failure to wait for: they are decided within seconds.
        oldest = recent - limit.failures
        return times[len(times) - recent + oldest] + limit.seconds - now if times and oldest >= 0 else 1.0


def forgotten_after(limits: Limits) -> float:
    """The seconds after which no failure of a user counts any more."""
    return max((limit.seconds for limit in limits.user), default=0.0)
