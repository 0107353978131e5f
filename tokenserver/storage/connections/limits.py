"""Limits of time: nothing waits long for the database, even where its server does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SECONDS = 2
"""Limit for connecting, for a statement, and for waiting for another writer."""

_deadline: ContextVar[tuple[float, float] | None] = ContextVar("deadline", default=None)
"""The end, and the limit for each wait."""


@contextmanager
def ending_within(seconds: float, *, each: float = SECONDS) -> Iterator[None]:
    """Limit all that is asked in this context, connecting included; without it, each wait is limited on its own.

    `each` limits each wait for the database besides.
    """
    token = _deadline.set((time.monotonic() + seconds, each))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Seconds until the deadline, at most the limit for each wait; not above 0 if it has passed."""
    deadline = _deadline.get()
    return SECONDS if deadline is None else min(deadline[1], deadline[0] - time.monotonic())
