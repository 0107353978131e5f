"""Admission control: how many token requests a worker handles concurrently, how many may queue, and when to reject.

Without it, requests beyond what can be signed would queue up, each waiting a little longer than the one before, until
clients give up; and health checks would wait behind them.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.runtime.bulkhead import Bulkhead

CONCURRENCY = 8
"""Python runs one request at a time, and threads that compete for the interpreter cost more than they bring; a few
more keep it busy while others wait for a signature or the disk."""

QUEUE_SIZE = 320
"""Each queued request holds a thread of the server."""

MAX_WAIT = 1.0
"""Seconds in the queue before a request is rejected: a burst is absorbed, an overload does not pile up."""

RETRY_AFTER = 1

MAX_BODIES = 1024
"""Request bodies that one worker reads concurrently; each holds its connection and up to 128 KiB by default,
and no thread."""

MAX_BODIES_PER_CLIENT = 320
"""Request bodies of one client address that are read concurrently, so that no single address can hold all places."""

MAX_PAGES, PAGE_QUEUE = 2, 16
"""Requests for pages and the API that one worker answers concurrently, and that queue beside those for tokens. A page
takes as long as several tokens, and people do not ask for many."""

MAX_PROVIDER_LOGINS = 8
"""Logins that one worker completes concurrently at OpenID providers, which may be slow, and are not waited for."""

REPORT_THREADS = 32
"""Threads for notifications of registries that one worker process has if these have a listener of their own. A process
of a registry sends one report at a time, which takes half a millisecond; further ones wait in their connections."""

SPARE_THREADS = 8
"""Threads for what never queues: rejections and health checks."""


def threads_for(logins: int) -> int:
    """The threads that one worker process needs, if logins in verification hold at most `logins` of them.

    Bodies in transit need none.
    """
    return CONCURRENCY + QUEUE_SIZE + logins + MAX_PAGES + PAGE_QUEUE + MAX_PROVIDER_LOGINS + SPARE_THREADS


def page_threads_for(logins: int) -> int:
    """The threads for pages and the API that one worker process needs if these have a listener of their own."""
    return MAX_PAGES + PAGE_QUEUE + logins + MAX_PROVIDER_LOGINS + SPARE_THREADS


class AdmissionControl(Bulkhead):
    """The bulkhead around whole token requests.

    A request gives its slot back (`slot_released`) while its login is verified or its body is in transit, which have
    limits of their own. `logins` is the number of threads that logins in verification hold at most.
    """

    def __init__(self, *, logins: int, monotonic: Callable[[], float]) -> None:
        super().__init__(
            "requests",
            workers=CONCURRENCY,
            queue=QUEUE_SIZE,
            wait=MAX_WAIT,
            monotonic=monotonic,
            retry_after=RETRY_AFTER,
            parked=MAX_BODIES_PER_CLIENT + logins,
        )
