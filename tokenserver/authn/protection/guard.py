"""What stands in front of the user sources and outlives every reload: memory, throttle, single flight, bulkheads.

A login that was verified a moment ago passes first, so that no attack and no outage is in the way of who is known;
then the throttle, before any work; then identical logins are made one; then there must be room for the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.equal_work import SLEEPERS
from tokenserver.authn.protection.circuit_breaker import Breaker, Sheltered, State
from tokenserver.authn.protection.failure_counters import Limits
from tokenserver.authn.protection.login_cache import CacheLifetime, LoginKey, VerifiedLogins
from tokenserver.authn.protection.shared_checks import Once, SharedChecks
from tokenserver.authn.protection.throttle import Address, Throttle, Together
from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials, Throttled
from tokenserver.identity import Identity
from tokenserver.runtime.bulkhead import Bulkhead
from tokenserver.runtime.singleflight import SingleFlight

FOLLOWERS = 24
"""Requests that may wait for somebody else's check of the same login; each holds a thread of the server."""

FOLLOWER_SECONDS = 10.0

HASH_QUEUE = 64
"""Logins that may wait for each core that hashes: four seconds' work at cost 10."""

MAX_HASH_QUEUE = 256
"""However many cores: each of those who wait holds a thread."""

HASH_WAIT = 6.0

HASH_RETRY = 4
"""Seconds until a full queue has been worked off; who comes earlier would only cost work."""

DIRECTORY_CALLS = 16
"""For one directory. 50 ms away a login takes a tenth of a second, so this many are 160 logins a second."""
DIRECTORY_QUEUE = 64
DIRECTORY_WAIT = 3.0

SPARE_THREADS = 8
"""For requests that need no check: anonymous and remembered ones, health checks, and sending others away."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process is to keep. `lifetimes` by source; `limits` None: no throttle; `hashers` at once.

    `limits` are what this process allows where it counts by itself: its part of what all of a server's may allow.
    `waiters` is how many may wait for the check of another process.
    """

    lifetimes: Mapping[str, CacheLifetime]
    directories: tuple[str, ...]
    limits: Limits | None
    hashers: int
    waiters: int = 0

    @property
    def repeats_count(self) -> bool:
        """A directory locks an account after so many failures, also of one and the same password."""
        return bool(self.directories)

    @property
    def hash_queue(self) -> int:
        """Logins that may wait for a core."""
        return min(self.hashers * HASH_QUEUE, MAX_HASH_QUEUE)

    @property
    def threads(self) -> int:
        """Threads that the server needs, so that the waiting ones never hold all of them."""
        hashing = self.hashers + self.hash_queue
        directories = len(self.directories) * (DIRECTORY_CALLS + DIRECTORY_QUEUE)
        sleeping = SLEEPERS if self.directories else 0
        return hashing + directories + sleeping + FOLLOWERS + self.waiters + SPARE_THREADS


class Protection:
    """One for each process. `secret` is random and new; `monotonic` gives seconds.

    With `together`, failures are counted with other processes. They know the same login by its whole digest, which no
    two logins have in common; what is kept of it is made under keys that no client knows. With `checks`, they hash a
    login once. `aside` is around whatever may wait: a login that is not remembered keeps no place that other requests
    could work in.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        secret: bytes,
        monotonic: Callable[[], float],
        together: Together | None = None,
        checks: SharedChecks | None = None,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._monotonic = monotonic
        self._aside = aside
        self._key = LoginKey(secret)
        self._digest = LoginKey(b"throttle")
        self._remembered = VerifiedLogins(plan.lifetimes, monotonic=monotonic)
        self._throttle = None
        if plan.limits is not None:
            self._throttle = Throttle(
                plan.limits, monotonic=monotonic, repeats_count=plan.repeats_count, together=together
            )
        self._together = together
        self._lifetimes = plan.lifetimes
        self._checks = checks
        self._hashes_all = not plan.directories
        self._flights: SingleFlight[Identity] = SingleFlight(followers=FOLLOWERS, seconds=FOLLOWER_SECONDS)
        self._breakers = {name: Breaker(name, monotonic=monotonic) for name in plan.directories}
        self._calls = {
            name: Bulkhead(
                name,
                workers=DIRECTORY_CALLS,
                queue=DIRECTORY_QUEUE,
                wait=DIRECTORY_WAIT,
                monotonic=monotonic,
            )
            for name in plan.directories
        }
        self.hashing = Bulkhead(
            "hashing",
            workers=plan.hashers,
            queue=plan.hash_queue,
            wait=HASH_WAIT,
            monotonic=monotonic,
            retry_after=HASH_RETRY,
        )

    def sheltered(self, source: Authenticator) -> Authenticator:
        """The source behind the breaker and the bulkhead of its name, where it is one of the plan's directories."""
        breaker = self._breakers.get(source.name)
        return source if breaker is None else Sheltered(source, breaker, self._calls[source.name])

    def through(self, source: Authenticator, question: Callable[[], None]) -> None:
        """Ask a source something under the same bounds as its logins.

        Raises:
            BackendUnavailable: it is not asked now, or whatever the question raises.
        """
        shelter = self.sheltered(source)
        if isinstance(shelter, Sheltered):
            shelter.through(question)
        else:
            question()

    def once(self, source: str) -> Once | None:
        """How passwords of this source are checked with the other workers; None where each login is hashed here."""
        seconds = self._lifetimes[source].fresh
        return self._checks.within(seconds) if self._checks is not None and seconds > 0 else None

    @property
    def breakers(self) -> dict[str, State]:
        """The state of each directory's circuit breaker, by the directory's name."""
        return {name: breaker.state for name, breaker in self._breakers.items()}

    @property
    def loads(self) -> dict[str, tuple[int, int]]:
        """How many logins are being checked and how many wait for it: by hashing, and by each directory."""
        return {room.name: room.load for room in (self.hashing, *self._calls.values())}

    def problem(self, source: str) -> str | None:
        """What `/readyz` says about a source: None while it is asked as ever."""
        breaker = self._breakers.get(source)
        return None if breaker is None else breaker.problem

    @property
    def note(self) -> str | None:
        """What `/readyz` says about the throttle, which nobody has to wait for: None where it is as configured."""
        return None if self._together is None else self._together.note

    def login(
        self,
        credentials: Password,
        client: Address | None,
        stamp: bytes,
        check: Callable[[], Identity],
        unavailable: Callable[[BackendUnavailable], None] = lambda _: None,
    ) -> Identity:
        """Who it is, by memory or by `check`, which is called once at most. `stamp` changes with the user's line.

        `unavailable` is called before it is raised that a source cannot tell: memory cannot help either.

        Raises:
            InvalidCredentials, BackendUnavailable: as `check`.
            Throttled: too many failures; nothing was checked.
            Overloaded: no room; nothing was checked.
        """
        key = self._key(credentials, stamp)
        begun = self._monotonic()
        identity = self._remembered.get(key)
        if identity is not None:
            return identity
        with self._aside():
            try:
                return self._unremembered(key, begun, lambda: self._attempt(key, credentials, client, check))
            except BackendUnavailable as error:
                unavailable(error)
                raise

    def _unremembered(self, key: bytes, begun: float, attempt: Callable[[], Identity]) -> Identity:
        def first() -> Identity:
            # The same login may have been checked by another since this one looked for it.
            return self._remembered.verified_since(key, begun) or attempt()

        if self._throttle is not None:
            self._throttle.repeated(key)
        try:
            # Where it could only be sent away later, that should cost as little as possible: no counters are asked.
            if self._hashes_all and not self._flights.is_under_way(key):
                self.hashing.reject_if_full()
            return self._flights.run(key, first)
        except (BackendUnavailable, Throttled) as error:
            # Perhaps this was only the one request that checks an entry anew before its time is up.
            backend = error.backend if isinstance(error, BackendUnavailable) else ""
            remembered = self._remembered.without_source(key, backend)
            if remembered is None:
                raise
            return remembered

    def _attempt(
        self, key: bytes, credentials: Password, client: Address | None, check: Callable[[], Identity]
    ) -> Identity:
        if self._throttle is None:
            return self._checked(key, check)
        with self._throttle.attempt(credentials.username, client, key, self._digest(credentials)):
            return self._checked(key, check)

    def _checked(self, key: bytes, check: Callable[[], Identity]) -> Identity:
        try:
            identity = check()
        except (InvalidCredentials, Incomplete):
            # Nor does a grace help who may be in a group by now that is denied something.
            self._remembered.forget(key)
            raise
        self._remembered.remember(key, identity)
        return identity
