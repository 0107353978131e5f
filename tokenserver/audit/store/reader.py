"""Answers out of a store: the events that meet a question, in the order of time, or the last of them and how many."""

from __future__ import annotations

import heapq
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenserver.audit.events import event_of
from tokenserver.audit.index_terms import POLICY_TERMS, TermRange, asked_terms
from tokenserver.audit.policy_in_force import NEAR, PoliciesNear
from tokenserver.audit.position_sets import CHUNK_EVENTS, between, last_positions, positions_of, united
from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.store.chunk import MICROSECOND, NO_TIME, microseconds, spelled, unpacked_block, unpacked_times
from tokenserver.audit.store.database import BLOCK_EVENTS, open_store, reading
from tokenserver.audit.store.new_events import request_number

_FIRST, _LAST = -(2**63), 2**63 - 1

_PLAIN_SETS = "SELECT positions FROM terms WHERE chunk = ? AND term = ?"
_RANGE_OF_SETS = "SELECT term, positions FROM terms WHERE chunk = ? AND term BETWEEN ? AND ?"


@dataclass(frozen=True, slots=True)
class FoundEvents:
    """The last events that meet a question, in the order of time, and how many do."""

    last: list[dict[str, Any]]
    count: int


class EventStore:
    """A store that is open. Each method raises `DamagedStore` if what it reads is not what was written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._block = lru_cache(maxsize=256)(self._read_block)

    def events(self, question: AuditQuestion) -> Iterator[dict[str, Any]]:
        """The events that meet the question, in the order of time."""
        with reading():
            yield from self._in_order(question)

    def _in_order(self, question: AuditQuestion) -> Iterator[dict[str, Any]]:
        waiting: list[tuple[int, int, int]] = []
        for chunk, first in self._chunks(question):
            while waiting and waiting[0][0] < first:
                yield from self._verified(question, heapq.heappop(waiting))
            bits = self._found(question, chunk)
            if bits:
                times = self._times(chunk)
                for position in positions_of(bits):
                    waiting.append((times[position], chunk, position))
                heapq.heapify(waiting)
        while waiting:
            yield from self._verified(question, heapq.heappop(waiting))

    def last(self, question: AuditQuestion, most: int) -> FoundEvents:
        """The last events that meet the question, at most so many; the others are counted."""
        with reading():
            return self._last(question, most)

    def _last(self, question: AuditQuestion, most: int) -> FoundEvents:
        if question.request_id:
            found = list(self.events(question))
            return FoundEvents(found[-most:], len(found))
        count = 0
        kept: list[tuple[int, int, int]] = []
        for chunk, _ in sorted(self._chunks(question), key=lambda one: -one[0]):
            bits = self._found(question, chunk)
            count += bits.bit_count()
            if not bits:
                continue
            times = self._times(chunk)
            kept += [(times[position], chunk, position) for position in last_positions(bits, most)]
            kept = heapq.nlargest(most, kept)
        events = [event for one in sorted(kept) for event in self._verified(question, one)]
        return FoundEvents(events, count)

    def add_policies(self, near: PoliciesNear, moment: datetime) -> None:
        """Add the events that say which policies were in force at the moment, and those near it."""
        with reading():
            self._add_policies(near, moment)

    def _add_policies(self, near: PoliciesNear, moment: datetime) -> None:
        at = microseconds(moment)
        window = (at - NEAR // MICROSECOND, at + NEAR // MICROSECOND)
        rows = self._connection.execute("SELECT id, first, last FROM chunks WHERE last > ?", (NO_TIME,))
        later = []
        for chunk, first, last in sorted(rows, key=lambda one: -one[2]):
            if first > window[1]:
                later.append((first, chunk))
            elif last >= window[0] or near.before is None or spelled(last) >= near.before[0]:
                self._add_policies_of(near, chunk, at, window)
        for first, chunk in sorted(later) if near.before is None else ():
            if near.after is None or spelled(first) <= near.after[0]:
                self._add_policies_of(near, chunk, at, window)

    def _add_policies_of(self, near: PoliciesNear, chunk: int, at: int, window: tuple[int, int]) -> None:
        times = self._times(chunk)
        start, now = bisect_right(times, NO_TIME), bisect_right(times, at)
        close = between(bisect_left(times, window[0]), bisect_right(times, window[1]))
        for term, positions in self._connection.execute(_RANGE_OF_SETS, (chunk, *POLICY_TERMS)):
            digest = term.decode("utf-8", "surrogatepass").partition(":")[2]
            bits = united([positions])
            up_to, after = bits & between(start, now), bits & between(now, len(times))
            if up_to:
                near.note(spelled(times[up_to.bit_length() - 1]), digest)
            if after:
                near.note(spelled(times[_lowest(after)]), digest)
            if seen := bits & close:
                first, last = times[_lowest(seen)], times[seen.bit_length() - 1]
                near.see(digest, spelled(first), spelled(last), seen.bit_count())

    def _chunks(self, question: AuditQuestion) -> list[tuple[int, int]]:
        """The chunks with events in the time in question and their first times, in this order."""
        since, until = _times_of(question)
        rows = self._connection.execute(
            "SELECT id, first FROM chunks WHERE last >= ? AND first < ? ORDER BY first, id", (since, until)
        )
        return list(rows)

    def _found(self, question: AuditQuestion, chunk: int) -> int:
        """The positions in the chunk of the events that meet the question; with a request id, of others as well."""
        since, until = _times_of(question)
        count, first, last = self._connection.execute(
            "SELECT count, first, last FROM chunks WHERE id = ?", (chunk,)
        ).fetchone()
        if not 0 < count <= CHUNK_EVENTS:
            raise ValueError(f"no chunk has {count} events")
        bits = between(0, count)
        if first < since or last >= until:
            times = self._times(chunk)
            bits = between(bisect_left(times, since), bisect_left(times, until))
        for ranges in asked_terms(question):
            if not bits:
                return 0
            bits &= united(one for asked in ranges for one in self._sets(chunk, asked))
        if question.request_id and bits:
            (content,) = self._connection.execute("SELECT requests FROM chunks WHERE id = ?", (chunk,)).fetchone()
            wanted = request_number(question.request_id)
            numbers = array("I", content)
            at = [position for position, number in enumerate(numbers) if number == wanted] if wanted in numbers else []
            bits &= sum(1 << position for position in at)
        return bits

    def _sets(self, chunk: int, asked: TermRange) -> Iterator[bytes]:
        first, last = (one.encode("utf-8", "surrogatepass") for one in (asked.first, asked.last))
        if first == last:
            yield from (positions for (positions,) in self._connection.execute(_PLAIN_SETS, (chunk, first)))
            return
        for term, positions in self._connection.execute(_RANGE_OF_SETS, (chunk, first, last)):
            if asked.includes(term.decode("utf-8", "surrogatepass")):
                yield positions

    def _times(self, chunk: int) -> array[int]:
        row = self._connection.execute("SELECT times, count FROM chunks WHERE id = ?", (chunk,)).fetchone()
        return unpacked_times(*row)

    def _read_block(self, chunk: int, block: int) -> list[bytes]:
        (content,) = self._connection.execute(
            "SELECT events FROM blocks WHERE chunk = ? AND block = ?", (chunk, block)
        ).fetchone()
        return unpacked_block(content)

    def _verified(self, question: AuditQuestion, place: tuple[int, int, int]) -> Iterator[dict[str, Any]]:
        _, chunk, position = place
        event = event_of(self._block(chunk, position // BLOCK_EVENTS)[position % BLOCK_EVENTS])
        if event is not None and question.is_met_by(event):
            yield event


@contextmanager
def open_events(path: Path) -> Iterator[EventStore]:
    """The store at this path.

    Raises:
        LoadError: there is none, it is none, or it is damaged; also while the block reads from it.
    """
    with open_store(path) as connection:
        yield EventStore(connection)


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _times_of(question: AuditQuestion) -> tuple[int, int]:
    """The first moment in question, and the first one after it."""
    if question.since is not None:
        since = microseconds(question.since)
    else:
        since = _FIRST if question.until is None else NO_TIME + 1
    return since, _LAST if question.until is None else microseconds(question.until)
