"""The throttle: who has failed too often waits, before any password is hashed and any directory is asked.

Where `repeats_count` is off, the same wrong password again is no further guess and counts once: a script with an old
password does not lock its user out. It must be on where a directory counts failures by itself.

Failures are counted by user, by address and in total. A place that a user has lately logged in from is counted by
itself, so that nobody's failures elsewhere lock the user out there.
"""

from __future__ import annotations

import hashlib
import threading
from array import array
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from math import ceil

from tokenserver.authn.htpasswd import fold
from tokenserver.errors import InvalidCredentials, Throttled

Address = IPv4Address | IPv6Address

BUCKETS = 1 << 15
"""Names and addresses share this many counters of each kind, by a hash: a million random names take no more memory
than these, and none of them pushes the counter of a real user out, as it would in a cache."""

REMEMBERED = 10_000
"""Pairs of a user and a place with a success; the oldest goes first."""

GOOD_SECONDS = 30 * 86_400

REPEAT_SECONDS = 10.0
"""The same wrong login again within this time is the same try: containerd asks with POST and then with GET."""


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


class Failures:
    """When failures happened, in a bounded number of counters, each of which keeps what `limits` need."""

    def __init__(self, limits: Sequence[Limit], *, buckets: int = BUCKETS) -> None:
        self._limits = tuple(limits)
        self._kept = max((limit.failures for limit in limits), default=0)
        self._longest = max((limit.seconds for limit in limits), default=0.0)
        self._buckets = buckets
        self._times: dict[int, array[float]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def bucket(self, text: str) -> int:
        """The counter of a name or an address."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._buckets

    def wait(self, bucket: int, now: float, under_way: int = 0) -> float:
        """For how many seconds no further failure is possible; 0: one is. `under_way` are tries without an answer."""
        times = self._times.get(bucket)
        waits = [self._wait(times, limit, now, under_way) for limit in self._limits]
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


class Throttle:
    """Lets tries through or not, and learns how they ended. `monotonic` gives seconds.

    `repeats_count`: whether the same wrong password counts again after `REPEAT_SECONDS`.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        monotonic: Callable[[], float],
        buckets: int = BUCKETS,
        repeats_count: bool = True,
    ) -> None:
        self._monotonic = monotonic
        self._repeats_count = repeats_count
        self._forgotten_after = max((limit.seconds for limit in limits.user), default=0.0)
        self._users = Failures(limits.user, buckets=buckets)
        self._places = Failures(limits.user, buckets=buckets)  # a user at a known good address
        self._addresses = Failures(limits.address, buckets=buckets)
        self._total = Failures(limits.total, buckets=1)
        self._under_way: Counter[int] = Counter()
        self._good: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def repeated(self, key: bytes) -> None:
        """See that this very login was not refused a moment ago; it would be again, and that would be no second try.

        Raises:
            InvalidCredentials: it was, for the same reason.
        """
        now = self._monotonic()
        with self._lock:
            found = self._refused.get(key)
        if found is not None and now - found[0] < REPEAT_SECONDS:
            raise InvalidCredentials(found[1])

    @contextmanager
    def attempt(self, username: str, address: Address | None, key: bytes) -> Iterator[None]:
        """One try of one login, which is checked inside; `InvalidCredentials` is a failure, nothing else is one.

        Raises:
            Throttled: there were too many failures.
        """
        name, place = canonical(username), place_of(address)
        user = self._users.bucket(name)
        pair = self._places.bucket(f"{place} {name}")
        with self._lock:
            now = self._monotonic()
            is_good = self._is_good(name, place, now)
            wait = self._wait(user, pair, place, now, is_good=is_good)
            if wait > 0:
                raise Throttled(max(1, ceil(wait)))
            self._under_way[user] += 1
        try:
            yield
        except InvalidCredentials as error:
            self._failed(key, error.reason, user, pair if is_good else None, place)
            raise
        else:
            self._succeeded(name, place)
        finally:
            with self._lock:
                self._under_way[user] -= 1
                if not self._under_way[user]:
                    del self._under_way[user]

    def _wait(self, user: int, pair: int, place: str, now: float, *, is_good: bool) -> float:
        if is_good:
            return self._places.wait(pair, now)
        address = self._addresses.wait(self._addresses.bucket(place), now) if place else 0.0
        return max(self._users.wait(user, now, self._under_way[user]), address, self._total.wait(0, now))

    def _is_good(self, name: str, place: str, now: float) -> bool:
        since = self._good.get((name, place))
        return since is not None and now - since < GOOD_SECONDS

    def _failed(self, key: bytes, reason: str, user: int, pair: int | None, place: str) -> None:
        now = self._monotonic()
        with self._lock:
            known = self._refused.get(key)
            if known is not None and not self._repeats_count and now - known[0] < self._forgotten_after:
                self._refused[key] = (now, reason)
                return
            self._users.add(user, now)
            self._total.add(0, now)
            if pair is not None:
                self._places.add(pair, now)
            if place:
                self._addresses.add(self._addresses.bucket(place), now)
            self._refused[key] = (now, reason)
            self._refused.move_to_end(key)
            if len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)

    def _succeeded(self, name: str, place: str) -> None:
        if not place:
            return
        with self._lock:
            self._good[name, place] = self._monotonic()
            self._good.move_to_end((name, place))
            if len(self._good) > REMEMBERED:
                self._good.popitem(last=False)


def canonical(username: str) -> str:
    """What all spellings have in common that a directory may take for one user: case, width and blanks differ."""
    return " ".join(fold(username).split())


def place_of(address: Address | None) -> str:
    """The address that failures are counted for: the /64 of IPv6, which one customer has whole; none: empty."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address.packed[:8] + bytes(8), 64)))
    return "" if address is None else str(address)
