"""Sizes of the login protection of one process: cache lifetimes, limits, capacity, and the threads that these need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokenserver.authn.equal_work import SLEEPERS
from tokenserver.authn.protection.failure_counters import Limits
from tokenserver.authn.protection.login_cache import CacheLifetime

FOLLOWERS = 24
"""Requests that may wait for another request's check of the same login; each holds a thread."""

FOLLOWER_SECONDS = 10.0

HASH_QUEUE = 64
"""Logins that may wait per hashing core: four seconds of work at cost 10."""

MAX_HASH_QUEUE = 256
"""For any number of cores: each waiting login holds a thread."""

HASH_WAIT = 6.0

HASH_RETRY = 4
"""Seconds until a full queue is drained; an earlier retry would be rejected again."""

DIRECTORY_CALLS = 16
"""Per directory. At a latency of 50 ms a login takes a tenth of a second, so these serve 160 logins a second."""
DIRECTORY_QUEUE = 64
DIRECTORY_WAIT = 3.0

SPARE_THREADS = 8
"""For requests that need no check: anonymous and cached logins, health checks, and rejections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and limits of one process. `lifetimes` by source; `limits` None: no throttle; `hashers` run concurrently.

    `limits` apply where this process counts by itself: its share of the limits of the whole server. `waiters` is how
    many logins may wait for the check of another process. `domains` are those that user sources remove from names.
    """

    lifetimes: Mapping[str, CacheLifetime]
    directories: tuple[str, ...]
    limits: Limits | None
    hashers: int
    waiters: int = 0
    databases: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @property
    def remote(self) -> tuple[str, ...]:
        """The sources that are asked over a connection: directories and databases."""
        return (*self.directories, *self.databases)

    @property
    def repeats_count(self) -> bool:
        """Directories lock an account after repeated failures, even with one and the same password."""
        return bool(self.directories)

    @property
    def hash_queue(self) -> int:
        """Logins that may wait for a core."""
        return min(self.hashers * HASH_QUEUE, MAX_HASH_QUEUE)

    @property
    def threads(self) -> int:
        """Threads that the server needs, so that waiting requests never hold all of them."""
        hashing = self.hashers + self.hash_queue
        remote = len(self.remote) * (DIRECTORY_CALLS + DIRECTORY_QUEUE)
        sleeping = SLEEPERS if self.remote else 0
        return hashing + remote + sleeping + FOLLOWERS + self.waiters + SPARE_THREADS
