"""The guard in front of the user sources: login cache, throttle, single flight and bulkheads, kept across reloads.

The cache comes first, so that neither an attack nor an outage affects users who logged in recently; then the throttle,
before any work; then identical logins are merged; then the work itself needs capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TypeVar

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.domains import counted_name
from tokenserver.authn.protection.circuit_breaker import Breaker, Sheltered, State
from tokenserver.authn.protection.failure_counters import Limits
from tokenserver.authn.protection.login_cache import LoginKey, RecalledSecrets, VerifiedLogins
from tokenserver.authn.protection.places import Address, place_of
from tokenserver.authn.protection.plan import (
    DIRECTORY_CALLS,
    DIRECTORY_QUEUE,
    DIRECTORY_WAIT,
    FOLLOWER_SECONDS,
    FOLLOWERS,
    HASH_RETRY,
    HASH_WAIT,
    Plan,
)
from tokenserver.authn.protection.shared_checks import Once, SharedChecks
from tokenserver.authn.protection.throttle import Throttle, Together
from tokenserver.authn.token_tags import tag_of_owner, tag_of_secret
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials, Throttled
from tokenserver.identity import Identity
from tokenserver.runtime.bulkhead import Bulkhead
from tokenserver.runtime.singleflight import SingleFlight

_Answer = TypeVar("_Answer")

OWNER_SECONDS = 60.0
"""How long an owner of stored credentials is not looked up again, at most: a disabled account stops within it."""


class Protection:
    """The `Guard` of one process. `secret` is random and new; `monotonic` gives seconds.

    With `together`, failures are counted across processes, which identify a login by its whole digest; no two logins
    share one, and only digests under keys unknown to clients are stored. With `checks`, processes hash a
    login once. `slot_released` surrounds whatever may wait: a login that is not cached occupies no slot
    of admission control.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        secret: bytes,
        monotonic: Callable[[], float],
        together: Together | None = None,
        checks: SharedChecks | None = None,
        slot_released: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._plan = plan
        self._monotonic = monotonic
        self._slot_released = slot_released
        self._key = LoginKey(secret)
        self._digest = LoginKey(b"throttle")
        self._remembered = VerifiedLogins(plan.lifetimes, monotonic=monotonic)
        self._recalled = RecalledSecrets(self._remembered)
        self._throttle = None
        if plan.limits is not None:
            self._throttle = Throttle(
                plan.limits, monotonic=monotonic, repeats_count=plan.repeats_count, together=together
            )
        self._together = together
        self._checks = checks
        self._flights: SingleFlight[Identity] = SingleFlight(followers=FOLLOWERS, seconds=FOLLOWER_SECONDS)
        self._breakers = {name: Breaker(name, monotonic=monotonic) for name in plan.remote}
        calls = partial(
            Bulkhead, workers=DIRECTORY_CALLS, queue=DIRECTORY_QUEUE, wait=DIRECTORY_WAIT, monotonic=monotonic
        )
        self._calls = {name: calls(name) for name in plan.remote}
        self.hashing = Bulkhead(
            "hashing",
            workers=plan.hashers,
            queue=plan.hash_queue,
            wait=HASH_WAIT,
            monotonic=monotonic,
            retry_after=HASH_RETRY,
        )

    def renewed(self, plan: Plan, *, secret: bytes, limits: Limits, unchanged: Collection[str]) -> Protection:
        """The protection for another plan, with what must outlive a change of the configuration.

        Failures count on, under the plan's limits here and `limits` of all processes together; see `limit_together`.
        Hashing keeps its bulkhead, and sources in `unchanged` their circuit breakers. Logins stay cached only if no
        source changed at all: one that was removed, or moved behind another, must not vouch for anybody any more. For
        the same reason `secret` is new.
        """
        other = Protection(
            plan,
            secret=secret,
            monotonic=self._monotonic,
            together=self._together,
            checks=self._checks,
            slot_released=self._slot_released,
        )
        if self._throttle is not None and plan.limits is not None:
            common = None if self._together is None else limits
            other._throttle = self._throttle.limited(plan.limits, common, repeats_count=plan.repeats_count)
        for name in other._breakers.keys() & self._breakers.keys() & set(unchanged):
            other._breakers[name], other._calls[name] = self._breakers[name], self._calls[name]
        if [*plan.lifetimes] == [*self._plan.lifetimes] and set(plan.lifetimes) <= set(unchanged):
            other._key, other._remembered, other._recalled = self._key, self._remembered, self._recalled
        other.hashing = self.hashing
        return other

    def limit_together(self, limits: Limits, *, repeat: float) -> None:
        """Other limits for what processes count together; see `Together.limit`."""
        if self._together is not None:
            self._together.limit(limits, repeat=repeat)

    def sheltered(self, source: Authenticator) -> Authenticator:
        """The source behind the breaker and the bulkhead of its name, if it is one of the plan's `remote` ones."""
        breaker = self._breakers.get(source.name)
        return source if breaker is None else Sheltered(source, breaker, self._calls[source.name])

    def through(self, source: Authenticator, question: Callable[[], _Answer]) -> _Answer:
        """Call a source under the same bounds as its logins; the answer to the question.

        Raises:
            BackendUnavailable: the circuit is open, or there is no capacity; and whatever the question raises.
        """
        shelter = self.sheltered(source)
        return shelter.through(question) if isinstance(shelter, Sheltered) else question()

    def once(self, source: str) -> Once | None:
        """Shares the password checks of this source with the other workers; None if each login is hashed here."""
        seconds = self._plan.lifetimes[source].fresh
        return self._checks.within(seconds) if self._checks is not None and seconds > 0 else None

    @property
    def breakers(self) -> dict[str, State]:
        """The state of the circuit breaker of each directory and database, by its name."""
        return {name: breaker.state for name, breaker in self._breakers.items()}

    @property
    def loads(self) -> dict[str, tuple[int, int]]:
        """Logins being checked and logins waiting: for hashing, and for each directory and database."""
        return {room.name: room.load for room in (self.hashing, *self._calls.values())}

    def problem(self, source: str) -> str | None:
        """What `/readyz` reports about a source: None while its circuit is closed."""
        breaker = self._breakers.get(source)
        return None if breaker is None else breaker.problem

    @property
    def note(self) -> str | None:
        """What `/readyz` reports about the throttle, without affecting readiness: None if it works as configured."""
        return None if self._together is None or self._throttle is None else self._together.note

    def login(
        self,
        credentials: Password,
        client: Address | None,
        stamp: bytes,
        check: Callable[[Password], Identity],
        unavailable: Callable[[Password, BackendUnavailable], None] = lambda _credentials, _error: None,
    ) -> Identity:
        """Authenticate from the cache, or by `check`. See `Guard.login`."""
        key = self._key(credentials, stamp)
        begun = self._monotonic()
        identity = self._remembered.get(key)
        if identity is not None:
            self._recalled.learn_login(credentials, stamp, key)
            return identity
        with self._slot_released():
            try:
                self._reject_early(key)
                return self._flights.run(key, partial(self._verify, key, begun, credentials, client, check))
            except (BackendUnavailable, Throttled) as error:
                # This may have been the one request that refreshes an entry before it expires.
                source = error.backend if isinstance(error, BackendUnavailable) else ""
                identity = self._remembered.without_source(key, source)
                if identity is not None:
                    return identity
                if isinstance(error, BackendUnavailable):
                    unavailable(credentials, error)
                raise

    def forget(self, credentials: Password, stamp: bytes) -> None:
        """See `Guard.forget`."""
        self._remembered.forget(self._key(credentials, stamp))

    def forget_token(self, token: Secret) -> None:
        """See `Guard.forget_token`."""
        self._remembered.forget(tag_of_secret(token))

    def count_unknown(self, secret: Secret, client: Address | None) -> None:
        """See `Guard.count_unknown`. It is a failure of its address's nameless user: one user's share for all."""
        if self._throttle is None:
            return
        nameless = Password(f"\0{place_of(client)}", secret)  # a NUL is in no name
        key = self._key(nameless, b"")
        with self._slot_released(), suppress(InvalidCredentials):
            self._throttle.repeated(key)
            with self._attempt(key, nameless, client):
                raise InvalidCredentials("unknown secret")

    def login_by_token(self, token: Secret, client: Address | None, check: Callable[[Secret], Identity]) -> Identity:
        """Authenticate from the cache, or by `check`. See `Guard.login_by_token`."""
        key = tag_of_secret(token)
        try:
            identity = self._cached(key, lambda: check(token))
        except InvalidCredentials:
            self.count_unknown(token, client)
            raise
        self._recalled.learn(token, key)
        return identity

    def recall_login(self, credentials: Password, stamp_of: Callable[[str], bytes]) -> Identity | None:
        """See `Guard.recall_login`."""
        return self._recalled.login(credentials, stamp_of)

    def recalling(self, token: Secret) -> Callable[[], Identity | None] | None:
        """See `Guard.recalling`."""
        return self._recalled.recalling(token)

    def look_up(self, about: str, stamp: bytes, check: Callable[[], Identity]) -> Identity:
        """See `Guard.look_up`. What is cached is used for `OWNER_SECONDS` at most."""
        return self._cached(tag_of_owner(about, stamp), check, OWNER_SECONDS)

    def _cached(self, key: bytes, check: Callable[[], Identity], at_most: float | None = None) -> Identity:
        """The identity from the cache, or from `check`, in which identical requests share one call."""
        begun = self._monotonic()
        identity = self._remembered.get(key)
        if identity is not None:
            return identity
        with self._slot_released():
            try:
                return self._flights.run(key, partial(self._verify_once, key, begun, check, at_most))
            except BackendUnavailable as error:
                identity = self._remembered.without_source(key, error.backend)
                if identity is not None:
                    return identity
                raise

    def _verify_once(self, key: bytes, begun: float, check: Callable[[], Identity], at_most: float | None) -> Identity:
        identity = self._remembered.verified_since(key, begun)
        if identity is None:
            try:
                identity = check()
            except (InvalidCredentials, Incomplete):
                self._remembered.forget(key)
                raise
            self._remembered.remember(key, identity, at_most)
        return identity

    def _reject_early(self, key: bytes) -> None:
        """Reject what would be rejected later anyway, before it costs a flight or a question to shared counters.

        Raises:
            InvalidCredentials: this very login was refused a moment ago.
            Overloaded: it would have to be hashed, and the queue is full.
        """
        if self._throttle is not None:
            self._throttle.repeated(key)
        if not self._plan.remote and not self._flights.is_under_way(key):
            self.hashing.reject_if_full()

    def _verify(
        self,
        key: bytes,
        begun: float,
        credentials: Password,
        client: Address | None,
        check: Callable[[Password], Identity],
    ) -> Identity:
        """The part of a login that identical ones share: one throttled check, whose result is cached."""
        # The same login may have been verified by another request since this one looked.
        identity = self._remembered.verified_since(key, begun)
        if identity is not None:
            return identity
        with self._attempt(key, credentials, client):
            try:
                identity = check(credentials)
            except (InvalidCredentials, Incomplete):
                # No grace for an incomplete answer either: a group that is missing may be one that is denied.
                self._remembered.forget(key)
                raise
            self._remembered.remember(key, identity)
            return identity

    def _attempt(self, key: bytes, credentials: Password, client: Address | None) -> AbstractContextManager[None]:
        if self._throttle is None:
            return nullcontext()
        tag = None if self._together is None else self._digest(credentials)
        name = counted_name(credentials.username, self._plan.domains)
        return self._throttle.attempt(name, client, key, tag)
