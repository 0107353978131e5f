"""Chunks: how events are ordered, compressed and indexed together, and the form of their times."""

from __future__ import annotations

import sqlite3
import zlib
from array import array
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tokenserver.audit.candidates import MAX_LINE
from tokenserver.audit.position_sets import CHUNK_EVENTS, packed
from tokenserver.audit.question import spell_moment
from tokenserver.audit.store.database import BLOCK_EVENTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

MAX_BLOCK = 3 * MAX_LINE * BLOCK_EVENTS
"""Bytes of a block at most: what is not ASCII is escaped, and two bytes become six."""

NO_TIME = -(2**62)
"""The time of an event without one: before all others."""


class NewEvent(NamedTuple):
    """An event on its way into a store: its time in microseconds, the digest of its text, its text, and what it is
    found by: the number of its request, and its terms."""

    moment: int
    digest: int
    text: bytes
    request: int
    terms: Collection[str]


def microseconds(moment: datetime) -> int:
    """A moment as the store has it."""
    return (moment - _EPOCH) // MICROSECOND


def spelled(moment: int) -> str:
    """A time of the store, as events have it."""
    return spell_moment(_EPOCH + moment * MICROSECOND)


def write_chunk(connection: sqlite3.Connection, events: list[NewEvent]) -> None:
    """Write a new chunk of at most `CHUNK_EVENTS` events, in a transaction of the caller."""
    events.sort(key=lambda one: one.moment)
    times = array("q", (one.moment for one in events))
    keys = array("Q", (one.digest for one in events))
    requests = array("I", (one.request for one in events))
    chunk = connection.execute(
        "INSERT INTO chunks (count, first, last, times, keys, requests) VALUES (?, ?, ?, ?, ?, ?)",
        (len(events), times[0], times[-1], zlib.compress(times.tobytes(), 1), keys.tobytes(), requests.tobytes()),
    ).lastrowid
    postings: defaultdict[str, list[int]] = defaultdict(list)
    for position, one in enumerate(events):
        for term in one.terms:
            postings[term].append(position)
    rows = sorted((term.encode("utf-8", "surrogatepass"), positions) for term, positions in postings.items())
    connection.executemany(
        "INSERT INTO terms VALUES (?, ?, ?)", ((chunk, term, packed(positions)) for term, positions in rows)
    )
    blocks = range(0, len(events), BLOCK_EVENTS)
    connection.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?)",
        ((chunk, start // BLOCK_EVENTS, _compressed(events[start : start + BLOCK_EVENTS])) for start in blocks),
    )


def unpacked_block(content: bytes) -> list[bytes]:
    """The texts of a block's events.

    Raises:
        ValueError, TypeError, zlib.error: it is no block.
    """
    return _decompressed(content, MAX_BLOCK).split(b"\n")


def unpacked_times(content: bytes, count: int) -> array[int]:
    """The times of the `count` events of a chunk.

    Raises:
        ValueError, TypeError, zlib.error: these are not the times of `count` events.
    """
    if not 0 < count <= CHUNK_EVENTS:
        raise ValueError(f"no chunk has {count} events")
    times = array("q", _decompressed(content, count * 8))
    if len(times) != count:
        raise ValueError(f"{len(times)} times of {count} events")
    return times


def _decompressed(content: bytes, most: int) -> bytes:
    """What a few bytes expand to is bounded, since the file may not be what was written."""
    decompressor = zlib.decompressobj()
    found = decompressor.decompress(content, most)
    if not decompressor.eof and decompressor.decompress(decompressor.unconsumed_tail, 1):
        raise ValueError(f"more than {most} bytes")
    if not decompressor.eof:
        raise ValueError("it ends too early")
    return found


def _compressed(events: list[NewEvent]) -> bytes:
    return zlib.compress(b"\n".join(one.text for one in events), 4)
