"""Counters of failed logins in this process, in bounded memory, and the limits that they are measured against."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

BUCKETS = 1 << 15
"""Names and addresses are hashed onto this many counters of each kind: a million random names take no more memory, and
none evicts the counter of a real user, as it would in a cache."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `failures` within any `seconds`."""

    failures: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one process. `user` holds several, each for a longer time: persistent failures wait longer."""

    user: tuple[Limit, ...]
    address: tuple[Limit, ...]
    total: tuple[Limit, ...]


def growing(failures: int, seconds: float) -> tuple[Limit, ...]:
    """Growing limits: as given, two more failures in six times the time, and twice as many in 24 times the time.

    5 in 5 minutes, 7 in half an hour, 10 in two hours: below the lockout thresholds of directories.
    """
    return (Limit(failures, seconds), Limit(failures + 2, seconds * 6), Limit(failures * 2, seconds * 24))


def shared(limits: Sequence[Limit], workers: int) -> tuple[Limit, ...]:
    """Each process's share of `limits`, so that all together allow about `limits`; at least two failures."""
    return tuple(Limit(max(2, -(-limit.failures // workers)), limit.seconds) for limit in limits)


def halved(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """Half of each limit; at least one failure."""
    return tuple(Limit(max(1, limit.failures // 2), limit.seconds) for limit in limits)


class Failures:
    """Times of failures, in a bounded number of counters, each of which keeps as many as `limits` need.

    With `common`, the limits of all processes together, it keeps as many as these need, too. See `wait`.
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

    def limited(self, limits: Sequence[Limit], *, common: Sequence[Limit] = ()) -> Failures:
        """The same counters under other limits: a failure that either of the two counts, both have."""
        other = Failures(limits, common=common, buckets=self._buckets)
        other._times = self._times
        return other

    def bucket(self, text: str) -> int:
        """The counter of a name or an address."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._buckets

    def wait(self, bucket: int, now: float, under_way: int = 0, *, common: bool = False) -> float:
        """Seconds until another try is allowed; 0: now. `under_way` is the number of undecided tries.

        With `common`, the failures in this process are measured against the limits of all processes together.
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
        # Drop times that are older than every window, or more than any limit counts.
        del times[: max(bisect_right(times, now - self._longest), len(times) + 1 - self._kept)]
        times.append(now)

    def _wait(self, times: array[float] | None, limit: Limit, now: float, under_way: int) -> float:
        recent = len(times) - bisect_right(times, now - limit.seconds) if times else 0
        if recent + under_way < limit.failures:
            return 0.0
        # Where only undecided tries fill the limit, retry soon: they are decided within seconds.
        oldest = recent - limit.failures
        return times[len(times) - recent + oldest] + limit.seconds - now if times and oldest >= 0 else 1.0


def forgotten_after(limits: Limits) -> float:
    """Seconds after which a failure of a user no longer counts."""
    return max((limit.seconds for limit in limits.user), default=0.0)
