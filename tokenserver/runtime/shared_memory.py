"""Memory that a server's processes share: moments and marks in tables of a fixed size, under one lock."""

from __future__ import annotations

import fcntl
import hmac
import logging
import mmap
import os
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

logger = logging.getLogger("tokenserver.authn")

LOCK_SECONDS = 0.05
"""How long a login waits for the others. A worker holds the lock for microseconds, unless it was stopped there."""

LOG_SECONDS = 10.0

TAG_BYTES = 16
"""Of what tells one login, or one known place, from another. It is made under a key that no client knows."""

SEEN_BYTES = (1 << 15) * (8 + TAG_BYTES)
_WAYS = 4
"""Marks are kept in groups of so many; the oldest of its group makes room for a new one."""

DIGEST_BYTES = 32


class Times:
    """When failures happened: `kept` moments for each of `buckets` counters. 0 is none."""

    def __init__(self, memory: memoryview, kept: int, buckets: int) -> None:
        self._moments = memory.cast("d")
        self._kept = kept
        self._buckets = buckets

    def recent(self, bucket: int, since: float) -> list[float]:
        """Those after `since`, the oldest first."""
        moments = sorted(self._all(bucket))
        return moments[bisect_right(moments, max(since, 0.0)) :]

    def add(self, bucket: int, now: float) -> None:
        """One more, in the place of the oldest. It is one write, so that a worker that dies spoils nothing."""
        moments = self._all(bucket)
        self._moments[self._start(bucket) + moments.index(min(moments))] = now

    def _all(self, bucket: int) -> Sequence[float]:
        start = self._start(bucket)
        return self._moments[start : start + self._kept].tolist()

    def _start(self, bucket: int) -> int:
        return bucket % self._buckets * self._kept


class Tries:
    """Tries under way: `kept` of them for each of `buckets` counters, each with the tag of its login."""

    ENTRY_BYTES = 8 + TAG_BYTES

    def __init__(self, memory: memoryview, kept: int, buckets: int) -> None:
        moments = kept * buckets * 8
        self._moments = memory[:moments].cast("d")
        self._tags = memory[moments:]
        self._kept = kept
        self._buckets = buckets

    def tags(self, bucket: int, since: float) -> set[bytes]:
        """The logins that were begun after `since`, each once."""
        return {
            bytes(self._tags[_tag_span(place)])
            for place in self._places(bucket)
            if self._moments[place] > max(since, 0.0)
        }

    def add(self, bucket: int, tag: bytes, now: float) -> None:
        """One more, in the place of the oldest."""
        place = min(self._places(bucket), key=self._moments.__getitem__)
        self._moments[place] = 0.0  # so that no tag ever stands beside another one's moment
        self._tags[_tag_span(place)] = tag
        self._moments[place] = now

    def remove(self, bucket: int, tag: bytes) -> None:
        """It is over."""
        for place in self._places(bucket):
            if self._tags[_tag_span(place)] == tag:
                self._moments[place] = 0.0

    def _places(self, bucket: int) -> range:
        start = bucket % self._buckets * self._kept
        return range(start, start + self._kept)


class Seen:
    """When tags were last seen; the oldest are forgotten first."""

    def __init__(self, memory: memoryview) -> None:
        self._groups = len(memory) // ((8 + TAG_BYTES) * _WAYS)
        moments = self._groups * _WAYS * 8
        self._moments = memory[:moments].cast("d")
        self._tags = memory[moments:]

    def is_within(self, tag: bytes, now: float, seconds: float) -> bool:
        """Whether it was seen in the last `seconds`."""
        return any(
            self._moments[place] > 0.0 and now - self._moments[place] < seconds and self._tags[_tag_span(place)] == tag
            for place in self._places(tag)
        )

    def put(self, tag: bytes, now: float) -> None:
        """It is seen now."""
        places = self._places(tag)
        known = (place for place in places if self._tags[_tag_span(place)] == tag)
        place = next(known, min(places, key=self._moments.__getitem__))
        self._moments[place] = 0.0  # so that no tag ever stands beside another one's moment
        self._tags[_tag_span(place)] = tag
        self._moments[place] = now

    def _places(self, tag: bytes) -> range:
        start = int.from_bytes(tag[:8], "big") % self._groups * _WAYS
        return range(start, start + _WAYS)


class Checks:
    """Checks that are known by a digest: when each was begun, by whom, and when it was found right.

    The whole digest stands there: whoever finds it takes it for the very same check.
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
        """Whether it was found right after `since`."""
        place = self._find(digest)
        return place is not None and self._right[place] > max(since, 0.0)

    def under_way(self, digest: bytes, since: float) -> int:
        """The ticket of who began it after `since` and has not ended it; 0: nobody."""
        place = self._find(digest)
        return 0 if place is None or self._begun[place] <= max(since, 0.0) else self._tickets[place]

    def begin(self, digest: bytes, ticket: int, now: float) -> None:
        """Whoever has this ticket (not 0) is at it, as of now."""
        place = self._place(digest)
        self._begun[place] = 0.0  # so that no ticket ever stands beside another one's moment
        self._tickets[place] = ticket
        self._begun[place] = now

    def end(self, digest: bytes, ticket: int) -> None:
        """Whoever has this ticket is not at it any more."""
        place = self._find(digest)
        if place is not None and self._tickets[place] == ticket:
            self._begun[place] = 0.0

    def found_right(self, digest: bytes, now: float) -> None:
        """It is right, as of now."""
        self._right[self._place(digest)] = now

    def _find(self, digest: bytes) -> int | None:
        places = self._places(digest)
        return next((place for place in places if hmac.compare_digest(self._digests[_span(place)], digest)), None)

    def _place(self, digest: bytes) -> int:
        """Where it stands from now on: where it did, or in the place of who was heard of the longest time ago."""
        place = self._find(digest)
        if place is None:
            place = min(self._places(digest), key=lambda place: max(self._begun[place], self._right[place]))
            self._begun[place] = self._right[place] = 0.0  # so that no digest stands beside another one's moment
            self._digests[_span(place)] = digest
        return place

    def _places(self, digest: bytes) -> range:
        start = int.from_bytes(digest[:8], "big") % (self._entries // _WAYS) * _WAYS
        return range(start, start + _WAYS)


class SharedMemory:
    """So many bytes for each of several tables. Processes that are forked later have the same ones.

    `stuck` is what is logged where they cannot be had in time.
    """

    def __init__(self, sizes: Sequence[int], *, stuck: str) -> None:
        """Have the system make it.

        Raises:
            OSError: it does not.
        """
        self.size = sum(sizes)
        self._stuck = stuck
        self._file = _file_of(self.size)
        self.parts = list(_cut(memoryview(mmap.mmap(self._file, self.size)), sizes))
        self._lock = threading.Lock()
        self._logged: float | None = None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """The memory for one thread of one process; false where it cannot be had in time."""
        end = time.monotonic() + LOCK_SECONDS
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            self._say_stuck()
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
        """The system takes this lock back from a worker that dies."""
        while True:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() > end:
                self._say_stuck()
                return False
            time.sleep(0.0002)

    def _say_stuck(self) -> None:
        now = time.monotonic()
        if self._logged is None or now - self._logged >= LOG_SECONDS:
            self._logged = now
            logger.warning("%s", self._stuck)


def _tag_span(place: int) -> slice:
    return slice(place * TAG_BYTES, (place + 1) * TAG_BYTES)


def _span(place: int) -> slice:
    return slice(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES)


def _file_of(size: int) -> int:
    """Memory with the descriptor of a file, which alone can be locked; nothing of it is ever on a disk on Linux."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("tokenserver-logins", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file


def _cut(memory: memoryview, sizes: Sequence[int]) -> Iterator[memoryview]:
    start = 0
    for size in sizes:
        yield memory[start : start + size]
        start += size
