"""Counters of failed logins that all workers of one server share, in shared memory.

The memory is allocated before the workers are forked, so every worker has it, including replacements. Its size is
fixed. It identifies no user: names and addresses are numbers of counters, and logins are tags under a key that is
discarded with the server.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from tokenserver.authn.protection.failure_counters import BUCKETS, Limit, Limits
from tokenserver.authn.protection.throttle import GOOD_SECONDS, Counted, Standing
from tokenserver.runtime.shared_memory import (
    SEEN_BYTES,
    TAG_BYTES,
    AttemptsTable,
    LastSeenTable,
    SharedMemory,
    TimesTable,
)

MAX_TABLE = 8 * 1024 * 1024
"""Bytes per kind of counter. The more failures each counter keeps, the fewer counters there are."""
MIN_BUCKETS = 1024

STUCK = "throttle: another worker holds the lock of the shared counters; this one counts by itself for now"

UNDER_WAY_SECONDS = 15.0
"""After which an undecided try is that of a worker that died."""


class TooManyToShare(Exception):
    """The limits require more failures to be kept than fit into the shared memory."""


class WorkersTogether:
    """The counters of all workers; a `Together`. `limits` are for all of them.

    A refused login is recognised for `repeat` seconds. `monotonic` is a clock of the machine, not of the process.
    Methods are safe to use from many threads of many processes, and never raise.
    """

    note = None

    def __init__(self, limits: Limits, *, repeat: float, monotonic: Callable[[], float]) -> None:
        """Allocate the memory.

        Raises:
            TooManyToShare: it would be too large.
            OSError: the system provides none.
        """
        self.limits = limits
        self._repeat = repeat
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        user, address, total = (_kept(each) for each in (limits.user, limits.address, limits.total))
        kinds = [(user, BUCKETS), (user, BUCKETS), (address, BUCKETS), (total, 1)]
        shapes = [(kept, _buckets(kept * 8, most)) for kept, most in kinds]
        # No further try is admitted once as many are under way as the tightest window allows failures.
        at_once = min((limit.failures for limit in limits.user), default=1)
        tries = (at_once, _buckets(at_once * AttemptsTable.ENTRY_BYTES, BUCKETS))
        sizes = [kept * buckets * 8 for kept, buckets in shapes]
        sizes += [tries[0] * tries[1] * AttemptsTable.ENTRY_BYTES] + [SEEN_BYTES] * 2
        self.memory = SharedMemory(sizes, stuck=STUCK)
        parts = iter(self.memory.parts)
        tables = [TimesTable(next(parts), kept, buckets) for kept, buckets in shapes]
        self._users, self._places, self._addresses, self._total = tables
        self._under_way = AttemptsTable(next(parts), *tries)
        self._good, self._refused = LastSeenTable(next(parts)), LastSeenTable(next(parts))

    def limit(self, limits: Limits, *, repeat: float) -> None:
        """See `Together`. The limits must allow no more failures than the first ones, which the memory was made for."""
        self.limits, self._repeat = limits, repeat

    def was_refused(self, counted: Counted) -> bool:
        """Whether a worker rejected this very login a moment ago."""
        with self.memory.alone() as is_alone:
            return is_alone and self._refused.is_within(self._login(counted), self._monotonic(), self._repeat)

    def standing(self, counted: Counted) -> Standing | None:
        """The state of the counters of this user, this address and in total. An allowed try is now under way."""
        with self.memory.alone() as is_alone:
            return self._standing(counted, self._monotonic()) if is_alone else None

    def failed(self, counted: Counted, *, is_good: bool) -> None:
        """One more failure, unless it is the same login again. `is_good`: at a place where the user is known."""
        with self.memory.alone() as is_alone:
            if not is_alone:
                return
            now = self._monotonic()
            login = self._login(counted)
            is_again = self._refused.is_within(login, now, self._repeat)
            self._refused.put(login, now)
            if is_again:
                return
            self._users.add(counted.user, now)
            self._total.add(0, now)
            if is_good:
                self._places.add(counted.pair, now)
            if counted.place:
                self._addresses.add(counted.address, now)

    def succeeded(self, counted: Counted) -> None:
        """The user is known at this place from now on."""
        with self.memory.alone() as is_alone:
            if is_alone and counted.place:
                self._good.put(self._home(counted), self._monotonic())

    def _standing(self, counted: Counted, now: float) -> Standing:
        is_good = bool(counted.place) and self._good.is_within(self._home(counted), now, GOOD_SECONDS)
        _, counter = counted.tries(is_good=is_good)
        left, wait = _left(self._places if is_good else self._users, counter, self.limits.user, now)
        others_wait = 0.0 if is_good else self._others_wait(counted, now)
        tag = self._login(counted)
        under_way = self._under_way.tags(counter, now - UNDER_WAY_SECONDS)
        if left > 0:  # tries under way are decided within seconds, so the wait is short
            left -= len(under_way - {tag})  # the same login at several workers is one guess
            wait = 1.0
        standing = Standing(left, wait, others_wait, is_good=is_good, weight=0)
        if standing.wait(0) > 0 or tag in under_way:
            return standing
        self._under_way.add(counter, tag, now)
        return replace(standing, ended=partial(self._ended, counter, tag))

    def _others_wait(self, counted: Counted, now: float) -> float:
        """The seconds that the address and the total make wait."""
        others = [_left(self._total, 0, self.limits.total, now)]
        if counted.place:
            others.append(_left(self._addresses, counted.address, self.limits.address, now))
        return max((seconds for remaining, seconds in others if remaining <= 0), default=0.0)

    def _ended(self, counter: int, tag: bytes) -> None:
        with self.memory.alone() as is_alone:
            if is_alone:
                self._under_way.remove(counter, tag)

    def _login(self, counted: Counted) -> bytes:
        return self._tag(f"{counted.user} ".encode() + counted.tag)

    def _home(self, counted: Counted) -> bytes:
        return self._tag(f"{counted.place} {counted.name}".encode("utf-8", "surrogatepass"))

    def _tag(self, text: bytes) -> bytes:
        return hashlib.blake2b(text, key=self._key, digest_size=TAG_BYTES).digest()


def _kept(limits: Sequence[Limit]) -> int:
    return max((limit.failures for limit in limits), default=1)


def _buckets(size: int, most: int) -> int:
    """The number of counters of `size` bytes that fit."""
    buckets = min(most, MAX_TABLE // size)
    if buckets < min(most, MIN_BUCKETS):
        raise TooManyToShare
    return buckets


def _left(times: TimesTable, bucket: int, limits: Sequence[Limit], now: float) -> tuple[int, float]:
    """Failures left in the fullest window, and the seconds until one more is allowed if none is left."""
    least, wait = 1, 0.0
    for number, limit in enumerate(limits):
        recent = times.recent(bucket, now - limit.seconds)
        remaining = limit.failures - len(recent)
        least = min(least, remaining) if number else remaining
        if remaining <= 0:
            wait = max(wait, recent[-limit.failures] + limit.seconds - now)
    return least, wait
