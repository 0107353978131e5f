"""The throttle of failed logins: rejects further tries before any password is hashed or any directory is asked.

Where `repeats_count` is off, repeating the same wrong password is not another guess and counts once: a script with an
old password does not lock its user out. It must be on where a directory counts failures by itself.

Failures are counted by user, by address and in total. Clients with an unknown address share one counter with half of
the total limit, so that they never use up the share of all others. A place from which a user has recently logged in
has its own counter, so that failures elsewhere do not lock the user out there.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from tokenserver.authn.protection.failure_counters import BUCKETS, Failures, Limits, forgotten_after, halved
from tokenserver.authn.protection.places import Address, place_of
from tokenserver.authn.usernames import canonical
from tokenserver.errors import InvalidCredentials, Throttled

REMEMBERED = 10_000
"""Pairs of a user and a place with a successful login; the oldest is evicted first."""

GOOD_SECONDS = 30 * 86_400

REPEAT_SECONDS = 10.0
"""The same wrong login within this time is the same try: containerd sends POST and then GET."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of one try, and `tag`, by which other processes recognise the same login.

    No two logins share a tag. It is stored shortened, under a key that no client knows: an attacker who could predict
    the stored value would sort a word list by it, and all passwords with one value would count as one.
    """

    name: str
    place: str
    user: int
    pair: int
    address: int
    tag: bytes

    def tries(self, *, is_good: bool) -> tuple[bool, int]:
        """What its tries under way are counted by: the user, or where the user is known, the user at this place."""
        return is_good, self.pair if is_good else self.user


@dataclass(frozen=True, slots=True)
class Standing:
    """What all replicas together know: failures that are `left` to the user, seconds until there are more, and the
    seconds that address and total make wait. `weight`: how many tries are under way for each one that is known here.
    `ended` is called when this try is over. `others` are the standings at other counters: the longest wait counts.
    """

    left: int
    user_wait: float
    others_wait: float
    is_good: bool
    weight: int
    ended: Callable[[], None] = field(default=lambda: None, compare=False)
    others: tuple[Standing, ...] = ()

    def wait(self, under_way: int) -> float:
        """For how many seconds no further failure is possible; 0: one is."""
        wait = max((one.wait(under_way) for one in self.others), default=0.0)
        wait = max(wait, self.others_wait)
        if self.left <= 0:
            wait = max(wait, self.user_wait, 1.0)
        elif self.left - under_way * self.weight <= 0:
            wait = max(wait, 1.0)  # with only tries under way in front: they are decided within seconds
        return wait


class Together(Protocol):
    """Counters that several processes share. No method raises; None or False where the counters are unavailable.

    See `worker_counters` for those of one server, and `redis_counters` for those of several.
    """

    @property
    def limits(self) -> Limits:
        """The limits of all processes together."""
        ...

    @property
    def note(self) -> str | None:
        """A sentence for operators while the counters are unavailable."""
        ...

    def limit(self, limits: Limits, *, repeat: float) -> None:
        """Measure the failures against other limits from now on; a refused login is recognised for `repeat` seconds."""
        ...

    def was_refused(self, counted: Counted) -> bool:
        """Whether any of them rejected this very login a moment ago."""
        ...

    def standing(self, counted: Counted) -> Standing | None:
        """The state of the counters of the user, of the address and in total."""
        ...

    def failed(self, counted: Counted, *, is_good: bool) -> None:
        """One more failure."""
        ...

    def succeeded(self, counted: Counted) -> None:
        """The user is known at this place."""
        ...


class Throttle:
    """Admits or rejects tries, and counts how they end. `monotonic` gives seconds.

    `repeats_count`: whether the same wrong password counts again after `REPEAT_SECONDS`. With `together`, a login is
    rejected if its counters say so, or if this process alone has seen as many failures as all may have. While they are
    unavailable, this process allows `limits`, its own share.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        monotonic: Callable[[], float],
        buckets: int = BUCKETS,
        repeats_count: bool = True,
        together: Together | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._repeats_count = repeats_count
        self._together = together
        self._forgotten_after = forgotten_after(limits)
        common = Limits((), (), ()) if together is None else together.limits
        self._users = Failures(limits.user, common=common.user, buckets=buckets)
        # A user at a known good address.
        self._places = Failures(limits.user, common=common.user, buckets=buckets)
        self._addresses = Failures(limits.address, common=common.address, buckets=buckets)
        self._total = Failures(limits.total, common=common.total, buckets=1)
        # All clients with an unknown address.
        self._unknown = Failures(halved(limits.total), common=halved(common.total), buckets=1)
        self._under_way: Counter[tuple[bool, int]] = Counter()
        self._good: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def limited(self, limits: Limits, common: Limits | None, *, repeats_count: bool) -> Throttle:
        """The same failures under other limits; `common` are those of all processes together, if they count together.
        Tries under way at either of the two count at both."""
        together = self._together
        other = Throttle(limits, monotonic=self._monotonic, repeats_count=repeats_count, together=together)
        common = Limits((), (), ()) if common is None else common
        other._users = self._users.limited(limits.user, common=common.user)
        other._places = self._places.limited(limits.user, common=common.user)
        other._addresses = self._addresses.limited(limits.address, common=common.address)
        other._total = self._total.limited(limits.total, common=common.total)
        other._unknown = self._unknown.limited(halved(limits.total), common=halved(common.total))
        other._under_way, other._good, other._refused = self._under_way, self._good, self._refused
        other._lock = self._lock
        return other

    def repeated(self, key: bytes) -> None:
        """Reject a login that was refused a moment ago, without counting it as a second try.

        Raises:
            InvalidCredentials: it was refused, for the same reason.
        """
        now = self._monotonic()
        with self._lock:
            found = self._refused.get(key)
        if found is not None and now - found[0] < REPEAT_SECONDS:
            raise InvalidCredentials(found[1])

    @contextmanager
    def attempt(self, username: str, address: Address | None, key: bytes, tag: bytes | None = None) -> Iterator[None]:
        """One try of a login, verified in the block; only `InvalidCredentials` counts as a failure.

        `key` identifies the login in this process, `tag` in all processes; it defaults to `key`, so that two logins are
        never taken for the same.

        Raises:
            Throttled: there were too many failures.
            InvalidCredentials: another process has just refused the same login.
        """
        counted = self._counted(canonical(username), place_of(address), key if tag is None else tag)
        # Before the lock is taken, because this may be a network call.
        standing = None
        if self._together is not None:
            # Where repeats count, a directory counts them as well: it must not be asked twice for one login.
            if self._repeats_count and self._together.was_refused(counted):
                raise InvalidCredentials("refused by another process a moment ago")
            standing = self._together.standing(counted)
        try:
            is_good = self._admit(counted, standing)
            try:
                yield
            except InvalidCredentials as error:
                self._failed(key, error.reason, counted, is_good=is_good)
                raise
            else:
                self._succeeded(counted)
            finally:
                self._left(counted, is_good=is_good)
        finally:
            if standing is not None:
                standing.ended()

    def _admit(self, counted: Counted, standing: Standing | None) -> bool:
        """Admit this try, which is under way from now on. Returns whether the user is known at this place.

        Raises:
            Throttled: there were too many failures.
        """
        with self._lock:
            now = self._monotonic()
            is_good = self._is_good(counted, now) if standing is None else standing.is_good
            wait = self._wait(counted, now, is_good=is_good, common=standing is not None)
            counter = counted.tries(is_good=is_good)
            if standing is not None:
                wait = max(wait, standing.wait(self._under_way[counter]))
            if wait > 0:
                raise Throttled(max(1, ceil(wait)))
            self._under_way[counter] += 1
        return is_good

    def _left(self, counted: Counted, *, is_good: bool) -> None:
        counter = counted.tries(is_good=is_good)
        with self._lock:
            self._under_way[counter] -= 1
            if not self._under_way[counter]:
                del self._under_way[counter]

    def _counted(self, name: str, place: str, tag: bytes) -> Counted:
        pair = self._places.bucket(f"{place} {name}")
        return Counted(name, place, self._users.bucket(name), pair, self._addresses.bucket(place), tag)

    def _wait(self, counted: Counted, now: float, *, is_good: bool, common: bool) -> float:
        under_way = self._under_way[counted.tries(is_good=is_good)]
        if is_good:
            return self._places.wait(counted.pair, now, under_way, common=common)
        if counted.place:
            address = self._addresses.wait(counted.address, now, common=common)
        else:
            address = self._unknown.wait(0, now, common=common)
        user = self._users.wait(counted.user, now, under_way, common=common)
        return max(user, address, self._total.wait(0, now, common=common))

    def _is_good(self, counted: Counted, now: float) -> bool:
        since = self._good.get((counted.name, counted.place))
        return since is not None and now - since < GOOD_SECONDS

    def _failed(self, key: bytes, reason: str, counted: Counted, *, is_good: bool) -> None:
        now = self._monotonic()
        with self._lock:
            known = self._refused.get(key)
            if known is not None and not self._repeats_count and now - known[0] < self._forgotten_after:
                self._refused[key] = (now, reason)
                return
            self._users.add(counted.user, now)
            self._total.add(0, now)
            if is_good:
                self._places.add(counted.pair, now)
            if counted.place:
                self._addresses.add(counted.address, now)
            else:
                self._unknown.add(0, now)
            self._refused[key] = (now, reason)
            self._refused.move_to_end(key)
            if len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)
        if self._together is not None:
            self._together.failed(counted, is_good=is_good)

    def _succeeded(self, counted: Counted) -> None:
        if not counted.place:
            return
        with self._lock:
            self._good[counted.name, counted.place] = self._monotonic()
            self._good.move_to_end((counted.name, counted.place))
            if len(self._good) > REMEMBERED:
                self._good.popitem(last=False)
        if self._together is not None:
            self._together.succeeded(counted)
