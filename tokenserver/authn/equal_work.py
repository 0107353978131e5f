"""Equal work: a failed login costs the same, no matter which user source knows the name, or whether any does.

Sources are asked in order, and the first that knows a name ends the search. So a wrong password costs a hash at a file,
a search and a bind at a directory, a query and a hash at a database, and the cost of all sources before it; the time
would reveal which source knows the name. A failed login makes up for the difference here: one hash of each kind in the
files and databases, one search and one bind for each directory, and one query for each database, for names that cannot
exist. Successful logins never come here.

Where a directory or a database is down, its users and unknown ones get 503 without any hash. Clients that retry must
not take the processor from the users of files, so the time of the hashes is slept.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import median
from typing import Protocol, runtime_checkable

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.verify import Decoy
from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable

SLEEPERS = 16
"""Logins that sleep concurrently while a directory is down, each in a thread; more are answered immediately."""

MEASURES = 9
MEASURE_SECONDS = 5.0
"""How often one of them does the work instead, to measure how long it currently takes."""

BUSY_SECONDS = 0.1
BUSY = 1.25
"""On a busy machine the wall time of the work exceeds its processor time. A sleep is capped at the larger of
`BUSY_SECONDS` and `BUSY` times the processor time: logins should not wait for a directory that is down."""


@runtime_checkable
class LookedUp(Protocol):
    """A source that searches for the name and then tries the password."""

    def decoy(self, credentials: Password, *, is_looked_up: bool = True) -> None:
        """Do the work of a wrong password, without the search where the name was searched for already.

        Raises:
            BackendUnavailable: as with a wrong password.
        """
        ...


@runtime_checkable
class Hashed(Protocol):
    """A source that learns only at logins in which ways its passwords are hashed."""

    @property
    def hashes(self) -> Decoy:
        """Does the hashing of a wrong password for an unknown user."""
        ...

    def kind_of(self, username: str) -> str | None:
        """The kind and the cost of the hash that the last login with this name was compared with; None if with none."""
        ...


Through = Callable[[Authenticator, Callable[[], None]], None]
"""Calls a source under the same bounds as its logins, and raises `BackendUnavailable` if they would."""


class EqualWork:
    """The remaining work of a failed login; called by `Chain`. `sources` are in the order of the chain."""

    def __init__(self, sources: Sequence[Authenticator], through: Through, pause: Pause | None = None) -> None:
        self._sources = tuple(sources)
        self._through = through
        files = [source for source in sources if isinstance(source, Htpasswd)]
        self._of_files = files[0].decoy.joined_with(*(file.decoy for file in files[1:])) if files else None
        self._tables = [source for source in sources if isinstance(source, Hashed)]
        self._pause = pause or Pause()

    def unknown(self, credentials: Password) -> None:
        """No source knows the name; each directory has searched for it.

        Raises:
            BackendUnavailable: as with a wrong password, after the work of all sources.
        """
        hashes = self._hashes
        if hashes is not None:
            hashes(credentials)
        failures: list[BackendUnavailable] = []
        for source in self._sources:
            try:
                self._bind(source, credentials)
            except BackendUnavailable as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def wrong(self, credentials: Password, number: int) -> None:
        """The source with this index knows the name, and the password is wrong. Failures of the others are ignored."""
        owner = self._sources[number]
        is_file = isinstance(owner, Htpasswd)
        hashes = self._hashes
        if hashes is not None and not (is_file and len(hashes.kinds) == 1):
            done = owner.kind_of(credentials.username) if isinstance(owner, (Htpasswd, Hashed)) else None
            with suppress(BackendUnavailable):
                hashes(credentials, but=done)
        self._ask_others(credentials, number)

    def unavailable(self, credentials: Password, name: str) -> None:
        """The source with this name cannot answer, or cannot verify the password."""
        number = next((number for number, source in enumerate(self._sources) if source.name == name), None)
        if number is None:
            return
        hashes = self._hashes
        if hashes is not None and not isinstance(self._sources[number], Htpasswd):
            self._pause(hashes, credentials)
        self._ask_others(credentials, number)

    @property
    def _hashes(self) -> Decoy | None:
        """One hash of each kind in files and databases, those of databases as far as they are known by now."""
        if not self._tables:
            return self._of_files
        first, *others = [table.hashes for table in self._tables]
        return first.joined_with(*others) if self._of_files is None else self._of_files.joined_with(first, *others)

    def _ask_others(self, credentials: Password, number: int) -> None:
        for other, source in enumerate(self._sources):
            if other != number:
                with suppress(BackendUnavailable):
                    self._bind(source, credentials, is_looked_up=other < number)

    def _bind(self, source: Authenticator, credentials: Password, *, is_looked_up: bool = True) -> None:
        if isinstance(source, Htpasswd) or not isinstance(source, LookedUp):
            return
        directory: LookedUp = source
        self._through(source, lambda: directory.decoy(credentials, is_looked_up=is_looked_up))


class Pause:
    """Takes as long as some work, mostly without doing it. Thread-safe."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._processor = processor
        self._sleep = sleep
        self._free = threading.BoundedSemaphore(SLEEPERS)
        self._lock = threading.Lock()
        self._taken: deque[float] = deque(maxlen=MEASURES)
        self._measured: float | None = None

    def __call__(self, work: Decoy, credentials: Password) -> None:
        """Sleep, or do the work; return immediately where too many sleep."""
        if not self._free.acquire(blocking=False):
            return
        try:
            seconds = self._usual()
            if seconds is None:
                self._measure(work, credentials)
            else:
                self._sleep(seconds)
        finally:
            self._free.release()

    def _usual(self) -> float | None:
        """How long the work usually takes; None if this call has to measure it."""
        with self._lock:
            now = self._monotonic()
            is_due = self._measured is None or now - self._measured >= MEASURE_SECONDS
            if is_due:
                self._measured = now
            return None if is_due or not self._taken else median(self._taken)

    def _measure(self, work: Decoy, credentials: Password) -> None:
        start, computed = self._monotonic(), self._processor()
        with suppress(BackendUnavailable):  # without capacity for it, it takes no time
            work(credentials)
            most = max(BUSY_SECONDS, BUSY * (self._processor() - computed))
            with self._lock:
                self._taken.append(min(self._monotonic() - start, most))
