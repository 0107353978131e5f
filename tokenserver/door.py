"""The door: how many token requests one worker process works on at once, how many wait, and that the rest is sent away.

Without it, whatever is asked beyond what can be signed would wait in line, each a little longer than the one before,
until clients give up; and a health check would wait behind them.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.authn.bulkhead import Bulkhead

AT_ONCE = 8
"""Python computes for one request at a time, and a crowd that wants the interpreter at the same moment costs more than
it brings; a few more keep it busy while some wait for a signature or the disk."""

QUEUE = 256
"""Each who waits holds a thread of the server."""

WAIT = 1.0
"""Seconds until who waits is sent away: a burst is worked off, an overload is not hoarded."""

RETRY_AFTER = 1

THREADS = AT_ONCE + QUEUE
"""Threads that the server needs for those who work and wait here; see `Plan.threads` for those who send others away."""


class Door(Bulkhead):
    """A bulkhead for whole token requests; a login that has to be checked, and a body that is on its way, step `aside`.

    Their numbers have bounds of their own.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        super().__init__(
            "requests", workers=AT_ONCE, queue=QUEUE, wait=WAIT, monotonic=monotonic, retry_after=RETRY_AFTER
        )
