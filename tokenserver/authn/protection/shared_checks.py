"""Password checks shared by all workers of one server: a login that many clients send concurrently is hashed once.

The memory is allocated before the workers are forked; its size is fixed. It holds a keyed digest of the login and of
the user's line; the key is random, never written anywhere, and discarded with the server. A wrong password is never
remembered; a right one is just long enough for each worker to add it to its own `login_cache`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

from tokenserver.authn.protection.login_cache import LoginKey
from tokenserver.credentials import Password
from tokenserver.runtime.shared_memory import ChecksTable, SharedMemory

ENTRIES = 8192
"""Two cores find 360 passwords right in the time for which they are kept, and some hundred checks are under way."""

KEPT_SECONDS = 10.0
"""For how long other workers trust that a password is right. Concurrent clients arrive within it."""

UNDER_WAY_SECONDS = 3.0
"""After which an unfinished check is that of a worker that died, and how long to wait for another worker's check."""

POLL_SECONDS = 0.005

WAITERS = 24
"""Logins that may wait concurrently for another worker's check; each holds a thread. Any more hash by themselves."""

STUCK = "logins: another worker holds the lock of the shared checks; this one hashes by itself for now"


class Once(Protocol):
    """Checks a password, or takes the result from another worker."""

    def __call__(
        self, credentials: Password, hashed: str, room: AbstractContextManager[None], check: Callable[[], bool]
    ) -> bool:
        """Whether the password matches `hashed`. `check` computes it, and is called in `room`, at most once.

        Raises whatever `room` and `check` raise, and nothing else.
        """
        ...


class SharedChecks:
    """The checks of all workers of a server. `monotonic` is a clock of the machine, not of the process.

    Safe to use from many threads of many processes.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
        entries: int = ENTRIES,
    ) -> None:
        """Lay out the memory.

        Raises:
            OSError: no shared memory is available.
        """
        self._monotonic = monotonic
        self._sleep = sleep
        self._key = LoginKey(secrets.token_bytes(64))
        self.memory = SharedMemory([entries * ChecksTable.ENTRY_BYTES], stuck=STUCK)
        self._checks = ChecksTable(self.memory.parts[0])
        self._free = threading.Semaphore(WAITERS)  # each worker has its own after the fork

    def within(self, seconds: float) -> Once:
        """An `Once` for a source whose answers may be used for `seconds`; more than 0."""
        return partial(self._once, min(seconds, KEPT_SECONDS))

    def _once(
        self,
        seconds: float,
        credentials: Password,
        hashed: str,
        room: AbstractContextManager[None],
        check: Callable[[], bool],
    ) -> bool:
        digest = self._key(credentials, hashed.encode("ascii"))
        ticket = secrets.randbits(63) + 1
        if self._was_right(digest, ticket, seconds):
            return True
        is_right = False
        try:
            with room:
                # Another worker may have finished while this one waited for room.
                if self._begin(digest, ticket, seconds)[0]:
                    return True
                is_right = check()
        finally:
            self._end(digest, ticket, is_right=is_right)
        return is_right

    def _was_right(self, digest: bytes, ticket: int, seconds: float) -> bool:
        """Whether some worker found it right. Waits for one check under way, but not for another after that."""
        is_right, first = self._begin(digest, ticket, seconds)
        if not first or not self._free.acquire(blocking=False):
            return is_right
        try:
            other, end = first, self._monotonic() + UNDER_WAY_SECONDS
            while other == first and self._monotonic() < end:
                self._sleep(POLL_SECONDS)
                is_right, other = self._begin(digest, ticket, seconds)
        finally:
            self._free.release()
        return is_right

    def _begin(self, digest: bytes, ticket: int, seconds: float) -> tuple[bool, int]:
        """Whether it was recently found right, else the ticket of a check under way; 0: this one's, or unknown."""
        with self.memory.alone() as is_alone:
            if not is_alone:
                return False, 0
            now = self._monotonic()
            if self._checks.is_right(digest, now - seconds):
                return True, 0
            other = self._checks.under_way(digest, now - UNDER_WAY_SECONDS)
            if other not in {0, ticket}:
                return False, other
            self._checks.begin(digest, ticket, now)
            return False, 0

    def _end(self, digest: bytes, ticket: int, *, is_right: bool) -> None:
        with self.memory.alone() as is_alone:
            if not is_alone:
                return
            if is_right:
                self._checks.found_right(digest, self._monotonic())
            self._checks.end(digest, ticket)
