"""Shared memory for the processes of a server: fixed-size tables of timestamps and tags, guarded by one lock."""

from __future__ import annotations

import fcntl
import hmac
import logging
import mmap
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tokenserver.runtime.anonymous_file import anonymous_file

logger = logging.getLogger("tokenserver.authn")

LOCK_SECONDS = 1.0
"""How long a caller waits for the lock. A worker holds it for microseconds, and longer while it gets no CPU: a CPU
limit pauses a container for a tenth of a second, in which others must not go on without the shared tables."""

STUCK_SECONDS = 0.05
"""The same, from when a caller waited in vain until the lock is acquired again: its holder was stopped or hangs."""

LOG_SECONDS = 10.0

TAG_BYTES = 16
"""The size of a tag, a keyed hash that identifies a login or a known address; the key is unknown to clients."""

SEEN_BYTES = (1 << 15) * (8 + TAG_BYTES)
_WAYS = 4
"""Entries per group: a new entry replaces the oldest one of its group."""

DIGEST_BYTES = 32


class TimesTable:
    """Times of failures: the last `kept` for each of `buckets` counters; 0 means empty."""

    def __init__(self, memory: memoryview, kept: int, buckets: int) -> None:
        self._moments = memory.cast("d")
        self._kept = kept
        self._buckets = buckets

    def recent(self, bucket: int, since: float) -> list[float]:
        """The times after `since`, the oldest first."""
        moments = sorted(self._all(bucket))
        return moments[bisect_right(moments, max(since, 0.0)) :]

    def add(self, bucket: int, now: float) -> None:
        """Replace the oldest time by `now`. This is a single write, so a worker that dies corrupts nothing."""
        moments = self._all(bucket)
        self._moments[self._start(bucket) + moments.index(min(moments))] = now

    def _all(self, bucket: int) -> Sequence[float]:
        start = self._start(bucket)
        return self._moments[start : start + self._kept].tolist()

    def _start(self, bucket: int) -> int:
        return bucket % self._buckets * self._kept


class AttemptsTable:
    """Login attempts under way: the last `kept` for each of `buckets` counters, each with the tag of its login."""

    ENTRY_BYTES = 8 + TAG_BYTES

    def __init__(self, memory: memoryview, kept: int, buckets: int) -> None:
        moments = kept * buckets * 8
        self._moments = memory[:moments].cast("d")
        self._tags = memory[moments:]
        self._kept = kept
        self._buckets = buckets

    def tags(self, bucket: int, since: float) -> set[bytes]:
        """The tags of the attempts that began after `since`."""
        return {
            bytes(self._tags[_tag_span(place)])
            for place in self._places(bucket)
            if self._moments[place] > max(since, 0.0)
        }

    def add(self, bucket: int, tag: bytes, now: float) -> None:
        """Replace the oldest attempt by this one."""
        place = min(self._places(bucket), key=self._moments.__getitem__)
        self._moments[place] = 0.0  # so that a tag is never paired with the time of another one
        self._tags[_tag_span(place)] = tag
        self._moments[place] = now

    def remove(self, bucket: int, tag: bytes) -> None:
        """Remove the attempts with this tag."""
        for place in self._places(bucket):
            if self._tags[_tag_span(place)] == tag:
                self._moments[place] = 0.0

    def _places(self, bucket: int) -> range:
        start = bucket % self._buckets * self._kept
        return range(start, start + self._kept)


class LastSeenTable:
    """When each tag was last seen; the oldest are evicted first."""

    def __init__(self, memory: memoryview) -> None:
        self._groups = len(memory) // ((8 + TAG_BYTES) * _WAYS)
        moments = self._groups * _WAYS * 8
        self._moments = memory[:moments].cast("d")
        self._tags = memory[moments:]

    def is_within(self, tag: bytes, now: float, seconds: float) -> bool:
        """Whether the tag was seen in the last `seconds`."""
        return any(
            self._moments[place] > 0.0 and now - self._moments[place] < seconds and self._tags[_tag_span(place)] == tag
            for place in self._places(tag)
        )

    def put(self, tag: bytes, now: float) -> None:
        """Record that the tag is seen now."""
        places = self._places(tag)
        known = (place for place in places if self._tags[_tag_span(place)] == tag)
        place = next(known, min(places, key=self._moments.__getitem__))
        self._moments[place] = 0.0  # so that a tag is never paired with the time of another one
        self._tags[_tag_span(place)] = tag
        self._moments[place] = now

    def _places(self, tag: bytes) -> range:
        start = int.from_bytes(tag[:8], "big") % self._groups * _WAYS
        return range(start, start + _WAYS)


class ChecksTable:
    """Password checks by digest: when each began, the ticket of the worker that runs it, and when it last succeeded.

    The whole digest is stored, since a match is taken for the very same check.
    """

    ENTRY_BYTES = DIGEST_BYTES + 3 * 8

    def __init__(self, memory: memoryview) -> None:
        self._entries = len(memory) // self.ENTRY_BYTES // _WAYS * _WAYS
        eighth = self._entries * 8
        self._begun = memory[:eighth].cast("d")
        self._right = memory[eighth : 2 * eighth].cast("d")
        self._tickets = memory[2 * eighth : 3 * eighth].cast("Q")
        self._digests = memory[3 * eighth : 3 * eighth + self._entries * DIGEST_BYTES]

    def is_right(self, digest: bytes, since: float) -> bool:
        """Whether the check succeeded after `since`."""
        place = self._find(digest)
        return place is not None and self._right[place] > max(since, 0.0)

    def under_way(self, digest: bytes, since: float) -> int:
        """The ticket of the worker that began the check after `since` and has not ended it; 0 if there is none."""
        place = self._find(digest)
        return 0 if place is None or self._begun[place] <= max(since, 0.0) else self._tickets[place]

    def begin(self, digest: bytes, ticket: int, now: float) -> None:
        """Record that the worker with this ticket (not 0) runs the check from now on."""
        place = self._place(digest)
        self._begun[place] = 0.0  # so that a ticket is never paired with the time of another one
        self._tickets[place] = ticket
        self._begun[place] = now

    def end(self, digest: bytes, ticket: int) -> None:
        """Record that the worker with this ticket no longer runs the check."""
        place = self._find(digest)
        if place is not None and self._tickets[place] == ticket:
            self._begun[place] = 0.0

    def found_right(self, digest: bytes, now: float) -> None:
        """Record that the check succeeded now."""
        self._right[self._place(digest)] = now

    def _find(self, digest: bytes) -> int | None:
        places = self._places(digest)
        return next((place for place in places if hmac.compare_digest(self._digests[_span(place)], digest)), None)

    def _place(self, digest: bytes) -> int:
        """The place of the digest; if it has none, it replaces the least recently used one of its group."""
        place = self._find(digest)
        if place is None:
            place = min(self._places(digest), key=lambda place: max(self._begun[place], self._right[place]))
            self._begun[place] = self._right[place] = 0.0  # so that a digest is never paired with the time of another
            self._digests[_span(place)] = digest
        return place

    def _places(self, digest: bytes) -> range:
        start = int.from_bytes(digest[:8], "big") % (self._entries // _WAYS) * _WAYS
        return range(start, start + _WAYS)


class SharedMemory:
    """Anonymous shared memory, divided into tables of `sizes` bytes; processes that are forked later share it.

    `stuck` is logged when the lock cannot be acquired in time.
    """

    def __init__(self, sizes: Sequence[int], *, stuck: str) -> None:
        """Allocate the memory.

        Raises:
            OSError: the system refuses.
        """
        self.size = sum(sizes)
        self._stuck = stuck
        self._file = anonymous_file("tokenserver-logins", self)  # only a file can be locked
        os.ftruncate(self._file, self.size)
        self.parts = list(_cut(memoryview(mmap.mmap(self._file, self.size)), sizes))
        self._lock = threading.Lock()
        self._is_stuck = False
        self._logged: float | None = None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Exclusive access for one thread of one process; yields false if the lock was not acquired in time."""
        seconds = STUCK_SECONDS if self._is_stuck else LOCK_SECONDS
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            self._give_up()
            yield False
            return
        try:
            is_locked = self._lock_file(end)
            try:
                yield is_locked
            finally:
                if is_locked:
                    fcntl.lockf(self._file, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def _lock_file(self, end: float) -> bool:
        """Lock the file; the system releases this lock when a worker dies."""
        while True:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._is_stuck = False
                return True
            if time.monotonic() > end:
                self._give_up()
                return False
            time.sleep(0.0002)

    def _give_up(self) -> None:
        self._is_stuck = True
        now = time.monotonic()
        if self._logged is None or now - self._logged >= LOG_SECONDS:
            self._logged = now
            logger.warning("%s", self._stuck)


def _tag_span(place: int) -> slice:
    return slice(place * TAG_BYTES, (place + 1) * TAG_BYTES)


def _span(place: int) -> slice:
    return slice(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES)


def _cut(memory: memoryview, sizes: Sequence[int]) -> Iterator[memoryview]:
    start = 0
    for size in sizes:
        yield memory[start : start + size]
        start += size
