"""Limits of time: nothing waits long for the database, even where its server does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SECONDS = 2
"""Limit for connecting, for a statement, and for waiting for another writer."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """Limit all that is asked in this context, connecting included; without it, each wait is limited on its own."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Seconds until the deadline, at most `SECONDS`; not above 0 if it has passed."""
    end = _deadline.get()
    return SECONDS if end is None else min(SECONDS, end - time.monotonic())
