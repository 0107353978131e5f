"""Equal work: a failed login costs the same whichever user source knows the name, and if none does.

Sources are asked in their order, and the first that knows a name ends it. So a wrong password costs a hash at a file,
a search and a bind at a directory, and what the sources in front of it cost; the time would tell who has the name. What
a failed login has not done by then, it does here: one hash of each kind that the files hold, and for each directory one
search and one bind, for names that cannot exist. A login that is right never comes here.

Where a directory cannot answer, its users and unknown ones get 503, and have cost no hash. Those who ask for it again
and again should not take the processor from the users of files, so the time of the hashes is slept.
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
"""Logins that sleep at once while a directory does not answer, each in a thread; the others are answered right away."""

MEASURES = 9
MEASURE_SECONDS = 5.0
"""How often one of them does the work instead, so that the others know how long it takes now."""

BUSY_SECONDS = 0.1
BUSY = 1.25
"""On a busy machine, where work takes longer than the processor needs for it, nobody sleeps longer than so many
seconds, or so many times what the processor needs: nobody should wait for a directory that is down."""


@runtime_checkable
class LookedUp(Protocol):
    """A source whose work is a search for the name, and then a try of the password."""

    def decoy(self, credentials: Password, *, is_looked_up: bool = True) -> None:
        """Cost what a wrong password costs, without the search where the name was looked for already.

        Raises:
            BackendUnavailable: as with a wrong password.
        """
        ...


Through = Callable[[Authenticator, Callable[[], None]], None]
"""Does something with a source under the same bounds as its logins. It raises `BackendUnavailable` where they would."""


class EqualWork:
    """What is left to do for a failed login; see `authn.Chain`, which calls it. `sources` are in their order."""

    def __init__(self, sources: Sequence[Authenticator], through: Through, pause: Pause | None = None) -> None:
        self._sources = tuple(sources)
        self._through = through
        files = [source for source in sources if isinstance(source, Htpasswd)]
        self._hashes = files[0].decoy.joined_with(*(file.decoy for file in files[1:])) if files else None
        self._pause = pause or Pause()

    def unknown(self, credentials: Password) -> None:
        """No source knows the name: each directory has looked for it.

        Raises:
            BackendUnavailable: as with a wrong password, after the work of all sources.
        """
        if self._hashes is not None:
            self._hashes(credentials)
        failures: list[BackendUnavailable] = []
        for source in self._sources:
            try:
                self._bind(source, credentials)
            except BackendUnavailable as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def wrong(self, credentials: Password, number: int) -> None:
        """The source of this number knows the name, and the password is wrong, whatever becomes of the others."""
        owner = self._sources[number]
        is_file = isinstance(owner, Htpasswd)
        if self._hashes is not None and not (is_file and len(self._hashes.kinds) == 1):
            done = owner.kind_of(credentials.username) if isinstance(owner, Htpasswd) else None
            with suppress(BackendUnavailable):
                self._hashes(credentials, but=done)
        self._ask_others(credentials, number)

    def unavailable(self, credentials: Password, name: str) -> None:
        """The source of this name cannot tell, or not whether the password is right."""
        number = next((number for number, source in enumerate(self._sources) if source.name == name), None)
        if number is None:
            return
        if self._hashes is not None and not isinstance(self._sources[number], Htpasswd):
            self._pause(self._hashes, credentials)
        self._ask_others(credentials, number)

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
    """Takes as long as some work, mostly without doing it. Methods may be called by many threads at once."""

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
        """Sleep, or do the work; nothing at all where too many sleep."""
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
        """How long the work takes; None where this one is to find out."""
        with self._lock:
            now = self._monotonic()
            is_due = self._measured is None or now - self._measured >= MEASURE_SECONDS
            if is_due:
                self._measured = now
            return None if is_due or not self._taken else median(self._taken)

    def _measure(self, work: Decoy, credentials: Password) -> None:
        start, computed = self._monotonic(), self._processor()
        with suppress(BackendUnavailable):  # without room for it, it takes no time
            work(credentials)
            most = max(BUSY_SECONDS, BUSY * (self._processor() - computed))
            with self._lock:
                self._taken.append(min(self._monotonic() - start, most))
