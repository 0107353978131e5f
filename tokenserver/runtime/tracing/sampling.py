"""Sampling: which requests are traced. What clients ask for is honoured up to a rate, so none can trace everything.

The decision never depends on the trace id: a client chooses that, and could choose one that is always traced.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from tokenserver.runtime.tracing.trace_context import TraceContext

_RANDOM_BITS = 53


def _random() -> float:
    """A number from 0 to 1, 1 not included, that nobody can predict."""
    return secrets.randbits(_RANDOM_BITS) / (1 << _RANDOM_BITS)


class Sampler:
    """Traces the fraction `ratio` of the requests, and those that clients trace: at most `client_rate` a second.

    Requests that clients say they do not trace are not traced. With a `client_rate` of 0, what clients say about this
    counts for nothing. Thread-safe. `monotonic` gives seconds, `random` a number from 0 to 1, 1 not included.
    """

    def __init__(
        self,
        ratio: float,
        client_rate: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random,
    ) -> None:
        self._ratio = ratio
        self._rate = client_rate
        self._monotonic = monotonic
        self._random = random
        self._lock = threading.Lock()
        self._left = float(client_rate)
        self._filled = monotonic()

    def is_traced(self, context: TraceContext | None) -> bool:
        """Whether a request is traced, given what its client says."""
        if context is not None and self._rate:
            if not context.is_sampled:
                return False
            if self._takes_one():
                return True
        return self._ratio > 0 and self._random() < self._ratio

    def _takes_one(self) -> bool:
        with self._lock:
            now = self._monotonic()
            self._left = min(float(self._rate), self._left + (now - self._filled) * self._rate)
            self._filled = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
