"""Circuit breakers: a user source that keeps failing is not asked for a while, and then probed once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from enum import StrEnum
from math import ceil
from typing import Protocol, TypeVar, runtime_checkable

from tokenserver.authn.authenticator import Authenticator
from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials, Overloaded
from tokenserver.identity import Identity
from tokenserver.runtime.bulkhead import Bulkhead

logger = logging.getLogger("tokenserver.authn")

_Answer = TypeVar("_Answer")

FAILURES = 3
"""Consecutive failures. Each has already tried every server of the source until the deadline of a login."""

OPEN_SECONDS = 5.0

PATIENCE_SECONDS = 0.5
"""How long a login waits for the probe that it triggers. A source that accepts connections and never answers would hold
it until the deadline; the probe continues without it."""


class State(StrEnum):
    """`closed`: asked normally. `open`: not asked. `half-open`: one login probes it, the others are rejected."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@runtime_checkable
class Probed(Protocol):
    """A user source that can be probed without a user's password."""

    def probe(self) -> None:
        """Send the source a request.

        Raises:
            BackendUnavailable: it does not answer.
        """
        ...


class Breaker:
    """The state of one source. `monotonic` gives seconds. Thread-safe."""

    def __init__(
        self,
        name: str,
        *,
        monotonic: Callable[[], float],
        failures: int = FAILURES,
        seconds: float = OPEN_SECONDS,
    ) -> None:
        self.name = name
        self._monotonic = monotonic
        self._most = failures
        self._seconds = seconds
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._probe: int | None = None
        self._summary = ""
        self._round = 0

    @property
    def state(self) -> State:
        """The current state."""
        with self._lock:
            return self._state()

    @property
    def problem(self) -> str | None:
        """One sentence for `/readyz`, or None while the circuit is closed. It names no host."""
        state = self.state
        if state is State.CLOSED:
            return None
        return f"{self._summary}; the circuit breaker is {state} and one login tries it every {self._seconds:g} s"

    def check(self) -> None:
        """Check whether a try would be admitted, without beginning one.

        Raises:
            BackendUnavailable: it would be rejected.
        """
        with self._lock:
            self._refuse_unless_possible()

    def admit(self) -> int:
        """Begin a try; pass its number to `answered`, `failed` or `cancelled`.

        Raises:
            BackendUnavailable: the circuit is open, or a probe is under way.
        """
        with self._lock:
            self._refuse_unless_possible()
            if self._opened is not None:
                self._round += 1
                self._probe = self._round
            return self._round

    def is_probe(self, number: int) -> bool:
        """Whether this try is the one that probes the source."""
        with self._lock:
            return self._probe is not None and self._probe == number

    def answered(self, number: int) -> None:
        """The source answered, whether it accepted or rejected the login."""
        with self._lock:
            if number != self._round:
                return  # it began before the state changed
            if self._opened is not None:
                logger.warning("%s: answers again; the circuit breaker is closed", self.name)
            self._failures, self._opened, self._probe = 0, None, None

    def failed(self, number: int, error: BackendUnavailable) -> None:
        """The source could not tell whether a login is right."""
        with self._lock:
            if number != self._round:
                return
            self._failures += 1
            self._summary = error.summary
            if self._failures < self._most:
                return
            if self._opened is None:
                logger.error(
                    "%s: failed %d times in a row, last with: %s; the circuit breaker is open: its users get an "
                    "immediate 503, and one login tries it every %g s",
                    self.name,
                    self._failures,
                    error.reason,
                    self._seconds,
                )
            self._opened, self._probe = self._monotonic(), None
            self._round += 1

    def cancelled(self, number: int) -> None:
        """The source was not asked after all."""
        with self._lock:
            if self._probe == number:
                self._probe = None

    def _state(self) -> State:
        if self._opened is None:
            return State.CLOSED
        rested = self._monotonic() - self._opened >= self._seconds
        return State.HALF_OPEN if rested or self._probe is not None else State.OPEN

    def _refuse_unless_possible(self) -> None:
        if self._opened is None:
            return
        left = self._opened + self._seconds - self._monotonic()
        if left > 0 or self._probe is not None:
            reason = f"is not asked now, because it failed: {self._summary}"
            raise BackendUnavailable(self.name, reason, max(1, ceil(left)), summary=self._summary)


class Sheltered:
    """An `Authenticator` behind its breaker and its bulkhead, which limits the threads that a slow source can hold."""

    def __init__(self, inner: Authenticator, breaker: Breaker, bulkhead: Bulkhead) -> None:
        self.inner = inner
        self._breaker = breaker
        self._bulkhead = bulkhead

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.inner.name

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`; fails immediately with `BackendUnavailable` while the circuit is open."""
        return self.through(lambda: self.inner.authenticate(credentials))

    def through(self, question: Callable[[], _Answer]) -> _Answer:
        """Call the source with any question, under the same bounds."""
        self._breaker.check()  # before the queue; the state may change while this login waits
        with self._bulkhead:
            number = self._breaker.admit()
            if isinstance(self.inner, Probed) and self._breaker.is_probe(number):
                self._probe(self.inner, number)
                number = self._breaker.admit()
            try:
                answer = question()
            except (InvalidCredentials, Incomplete):
                self._breaker.answered(number)
                raise
            except Overloaded:
                self._breaker.cancelled(number)
                raise
            except BackendUnavailable as error:
                self._breaker.failed(number, error)
                raise
            except BaseException:
                self._breaker.cancelled(number)
                raise
            self._breaker.answered(number)
            return answer

    def _probe(self, source: Probed, number: int) -> None:
        """Probe the source in a separate thread; there is one at a time.

        Raises:
            BackendUnavailable: it does not answer, or has not answered yet.
        """
        ended: Future[None] = Future()
        threading.Thread(target=self._run_probe, args=(source, number, ended), name="probe", daemon=True).start()
        if not wait([ended], PATIENCE_SECONDS).done:
            raise BackendUnavailable(self.name, "is being tried again, and has not answered yet", 1)
        ended.result()

    def _run_probe(self, source: Probed, number: int, ended: Future[None]) -> None:
        try:
            source.probe()
        except BackendUnavailable as error:
            self._breaker.failed(number, error)
            ended.set_exception(error)
        except Exception as error:
            # Also raised in the login that waits for the probe; but that may have timed out.
            logger.exception("%s: the probe failed because of a bug in this server", self.name)
            self._breaker.cancelled(number)
            ended.set_exception(error)
        else:
            self._breaker.answered(number)
            ended.set_result(None)
