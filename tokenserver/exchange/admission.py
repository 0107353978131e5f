"""The door: how many token requests one worker process works on at once, how many wait, and that the rest is sent away.

Without it, whatever is asked beyond what can be signed would wait in line, each a little longer than the one before,
until clients give up; and a health check would wait behind them.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.runtime.bulkhead import Bulkhead

AT_ONCE = 8
"""Python computes for one request at a time, and a crowd that wants the interpreter at the same moment costs more than
it brings; a few more keep it busy while some wait for a signature or the disk."""

QUEUE = 320
"""Each waiting request holds a thread of the server."""

WAIT = 1.0
"""Seconds until who waits is sent away: a burst is worked off, an overload is not hoarded."""

RETRY_AFTER = 1

BODIES = 1024
"""Bodies that one worker process reads at the same time; each holds its connection and up to 64 KiB, and no thread."""

BODY_READERS = 320
"""Bodies of one client address that are read at the same time, so that a single address never holds all places."""

SPARE = 8
"""Threads for those who need not wait: to send others away, and for health checks."""


def threads_for(logins: int) -> int:
    """The threads that one worker process needs, where logins that are checked hold so many at most.

    Bodies on their way need none.
    """
    return AT_ONCE + QUEUE + logins + SPARE


class Door(Bulkhead):
    """A bulkhead for whole token requests; a login that has to be checked, and a body that is on its way, step `aside`.

    Their numbers have bounds of their own; `logins` is that of the threads that logins hold at most.
    """

    def __init__(self, *, logins: int, monotonic: Callable[[], float]) -> None:
        super().__init__(
            "requests",
            workers=AT_ONCE,
            queue=QUEUE,
            wait=WAIT,
            monotonic=monotonic,
            retry_after=RETRY_AFTER,
            parked=BODY_READERS + logins,
        )
