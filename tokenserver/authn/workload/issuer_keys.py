"""The live keys of one issuer: fetched in the background, kept through outages, and never fetched often.

Every `INTERVAL` seconds the keys are fetched, sooner if the issuer asks for it. A JWT with an unknown `kid` may make
them be fetched, too: at most every `PAUSE` seconds, whatever clients send. A fetch that fails, or finds no usable key,
leaves the last good keys in use until they are `KEPT` seconds old.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenserver.authn.workload.key_origins import FetchedKeys, KeyOrigin, KeysNotFetched
from tokenserver.authn.workload.key_sets import IssuerKey, IssuerKeySet, unknown_key
from tokenserver.errors import BackendUnavailable, Incomplete
from tokenserver.runtime.clock_jumps import steady_seconds
from tokenserver.runtime.tracing.spans import traced

logger = logging.getLogger("tokenserver.workload")

INTERVAL = 600.0
MIN_INTERVAL = 300.0
"""A shorter time in `Cache-Control` counts as this one."""

RETRY = 60.0
"""The interval after a failed fetch."""

SPREAD = 0.2
"""The part of an interval by which each one differs at random, so that workers and replicas do not fetch together."""

PAUSE = 30.0
WAIT = 3.0
"""How long a login waits for a fetch."""

MAX_WAITING = 16
"""Logins that wait for one issuer. Each of them holds a thread of the server."""

NOTE_AFTER = 3600.0
KEPT = 24 * 3600.0
REMIND = 3600.0
"""Seconds between two log lines about the same outage."""


@dataclass(frozen=True, slots=True)
class _Known:
    keys: IssuerKeySet
    since: float


def in_thread(run: Callable[[], None]) -> None:
    """Run it in a thread of its own."""
    threading.Thread(target=run, name="issuer-keys", daemon=True).start()


def random_spread() -> float:
    """A random number from -1 to 1."""
    return secrets.randbelow(2001) / 1000 - 1


class IssuerKeys:
    """The keys of the issuer of the source `name`. The first fetch begins with the first `tick`, and blocks nothing.

    `steady` is a clock in seconds that cannot be set. `spawn` runs a fetch elsewhere, `spread` returns a random number
    from -1 to 1. Safe for concurrent use by threads.
    """

    def __init__(
        self,
        name: str,
        origin: KeyOrigin,
        *,
        steady: Callable[[], float] = steady_seconds,
        spawn: Callable[[Callable[[], None]], None] = in_thread,
        spread: Callable[[], float] = random_spread,
    ) -> None:
        self.name = name
        self._origin = origin
        self._steady = steady
        self._spawn = spawn
        self._spread = spread
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._failure: str | None = "they have not been fetched yet"
        self._flight: threading.Event | None = None
        self._began: float | None = None
        self._due = steady()
        self._waiting = 0
        self._logged: float | None = None

    def tick(self) -> None:
        """Begin a fetch if one is due. Returns immediately."""
        with self._lock:
            is_due = self._flight is None and self._steady() >= self._due
            flight = self._take_off() if is_due else None
        if flight is not None:
            self._launch(flight)

    def key(self, key_id: str | None, algorithm: str) -> IssuerKey:
        """See `KeysOfIssuer.key`. If the key is not known, a fetch is awaited for `WAIT` seconds at most.

        Raises:
            RefusedJwt: there is no such key.
            Incomplete: the key is not known, and the last fetch has failed or takes too long.
            BackendUnavailable: no key is known.
        """
        found = self._look_up(key_id, algorithm)
        if found is None:
            self._refresh()
            found = self._look_up(key_id, algorithm)
        if found is not None:
            return found
        if self._usable() is None:
            summary = self.note or _NO_KEYS
            raise BackendUnavailable(self.name, f"no keys of the issuer: {self._failure}", summary=summary)
        if self._failure is not None or self._flight is not None:
            problem = self._failure or "they are being fetched"
            raise Incomplete(self.name, f"no key of the issuer has this kid, and new ones are not known: {problem}")
        raise unknown_key(key_id)

    @property
    def age(self) -> float | None:
        """Seconds since the last good fetch; None if there was none."""
        known = self._known
        return None if known is None else self._steady() - known.since

    @property
    def is_failing(self) -> bool:
        """Whether the last fetch failed, or the first one has not ended yet."""
        return self._failure is not None

    @property
    def note(self) -> str | None:
        """One sentence for `/readyz`, without any name of a host; None while the keys are younger than an hour."""
        age = self.age
        if age is None:
            return _NO_KEYS
        if age >= KEPT:
            return "the keys of its issuer could not be fetched for a day, and are not used any more; see the log"
        if age >= NOTE_AFTER:
            return f"the keys of its issuer are {age / 3600:.0f} h old, and will be used until 24 h; see the log"
        return None

    def _usable(self) -> IssuerKeySet | None:
        known = self._known
        return None if known is None or self._steady() - known.since >= KEPT else known.keys

    def _look_up(self, key_id: str | None, algorithm: str) -> IssuerKey | None:
        usable = self._usable()
        return None if usable is None else usable.find(key_id, algorithm)

    @traced("issuer keys")
    def _refresh(self) -> None:
        """Wait for the fetch that is under way, or for a new one if the last one began `PAUSE` seconds ago."""
        with self._lock:
            flight, is_mine = self._flight, False
            if flight is None and (self._began is None or self._steady() - self._began >= PAUSE):
                flight, is_mine = self._take_off(), True
            if flight is None:
                return
            if self._waiting >= MAX_WAITING:
                raise Incomplete(self.name, "too many logins wait for the keys of the issuer", 1)
            self._waiting += 1
        try:
            if is_mine:
                self._launch(flight)
            flight.wait(WAIT)
        finally:
            with self._lock:
                self._waiting -= 1

    def _take_off(self) -> threading.Event:
        """Note that a fetch begins. The lock is held."""
        self._flight, self._began = threading.Event(), self._steady()
        return self._flight

    def _launch(self, flight: threading.Event) -> None:
        try:
            self._spawn(lambda: self._fly(flight))
        except RuntimeError:  # the process may have no further thread
            self._land(flight, None, "no thread for it")

    def _fly(self, flight: threading.Event) -> None:
        """Fetch, and note the outcome. Never raises."""
        fetched: FetchedKeys | None = None
        failure = None
        try:
            fetched = self._origin()
        except KeysNotFetched as error:
            failure = str(error)
        except Exception as error:  # whatever happens, the next fetch must be possible; only the type is safe to log
            failure = f"unexpected {type(error).__name__}"
        self._land(flight, fetched, failure)

    def _land(self, flight: threading.Event, fetched: FetchedKeys | None, failure: str | None) -> None:
        now = self._steady()
        with self._lock:
            if fetched is not None:
                self._known = _Known(fetched.keys, now)
            self._failure = failure
            self._due = now + self._interval(fetched)
            self._flight = None
        flight.set()
        self._log(failure, now)

    def _interval(self, fetched: FetchedKeys | None) -> float:
        factor = 1 + SPREAD * self._spread()
        if fetched is None:
            return RETRY * factor
        wanted = INTERVAL if fetched.fresh_for is None else min(INTERVAL, fetched.fresh_for)
        return max(wanted * factor, MIN_INTERVAL)

    def _log(self, failure: str | None, now: float) -> None:
        """One line when an outage begins and each hour of it, and one when it ends."""
        if failure is not None:
            if self._logged is None or now - self._logged >= REMIND:
                self._logged = now
                logger.error("the keys of the issuer of %s cannot be fetched: %s", self.name, failure)
        elif self._logged is not None:
            self._logged = None
            logger.info("the keys of the issuer of %s can be fetched again", self.name)


_NO_KEYS = "the keys of its issuer could not be fetched yet; see the log"


def watch_issuers(issuers: Callable[[], Iterable[IssuerKeys]], stop: threading.Event, *, every: float = 1.0) -> None:
    """Call `tick` of the issuers, whichever there are by then, every `every` seconds until `stop` is set. Blocks.

    The first time is immediately.
    """
    while True:
        for keys in issuers():
            keys.tick()
        if stop.wait(every):
            return
