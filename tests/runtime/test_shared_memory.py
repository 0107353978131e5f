"""Shared tables: the oldest entries make room, times bound what counts, and processes see each other's entries."""

from __future__ import annotations

import os

import pytest

from tokenserver.runtime.shared_memory import (
    DIGEST_BYTES,
    SEEN_BYTES,
    TAG_BYTES,
    ChecksTable,
    LastSeenTable,
    SharedMemory,
    TimesTable,
)


def times(kept: int = 3, buckets: int = 2) -> TimesTable:
    return TimesTable(memoryview(bytearray(8 * kept * buckets)), kept, buckets)


def test_times_in_their_order() -> None:
    """Those after a moment, the oldest first; each counter has its own."""
    table = times()
    for moment in (30.0, 10.0, 20.0):
        table.add(0, moment)
    assert table.recent(0, 10.0) == [20.0, 30.0]
    assert table.recent(0, 0.0) == [10.0, 20.0, 30.0]
    assert table.recent(1, 0.0) == []


def test_the_oldest_time_makes_room() -> None:
    """More than are kept never count."""
    table = times()
    for moment in (1.0, 2.0, 3.0, 4.0, 5.0):
        table.add(0, moment)
    assert table.recent(0, 0.0) == [3.0, 4.0, 5.0]


def test_empty_entries_never_count() -> None:
    """Not even since a moment before the clock began."""
    table = times()
    assert table.recent(0, -100.0) == []


def test_counters_beyond_the_table_share() -> None:
    """A bucket's number is reduced to the table, so memory is bounded."""
    table = times(buckets=2)
    table.add(5, 1.0)
    assert table.recent(1, 0.0) == [1.0]


def tag(number: int) -> bytes:
    return number.to_bytes(TAG_BYTES, "big")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(100.0, True, id="now"),
        pytest.param(109.0, True, id="within"),
        pytest.param(111.0, False, id="too-long-ago"),
    ],
)
def test_last_seen(now: float, expected: bool) -> None:
    """Within so many seconds, and no other tag."""
    table = LastSeenTable(memoryview(bytearray(SEEN_BYTES)))
    table.put(tag(1), 100.0)
    assert table.is_within(tag(1), now, 10.0) is expected
    assert table.is_within(tag(2), now, 10.0) is False


def checks(entries: int = 8) -> ChecksTable:
    return ChecksTable(memoryview(bytearray(ChecksTable.ENTRY_BYTES * entries)))


def digest(number: int, group: int = 0) -> bytes:
    return group.to_bytes(8, "big") + number.to_bytes(DIGEST_BYTES - 8, "big")


def test_a_check_under_way() -> None:
    """By the ticket of its worker, until that worker ends it, or it began too long ago."""
    table = checks()
    table.begin(digest(1), 7, 100.0)
    assert [table.under_way(digest(1), since) for since in (99.0, 100.0)] == [7, 0]
    assert table.under_way(digest(2), 0.0) == 0
    table.end(digest(1), 8)
    assert table.under_way(digest(1), 0.0) == 7
    table.end(digest(1), 7)
    assert table.under_way(digest(1), 0.0) == 0


def test_a_check_that_succeeded() -> None:
    """After a moment, for the very same digest alone; a later check does not undo it."""
    table = checks()
    table.found_right(digest(1), 100.0)
    table.begin(digest(1), 7, 101.0)
    assert [table.is_right(digest(1), since) for since in (99.0, 100.0)] == [True, False]
    assert table.is_right(digest(2), 0.0) is False


def test_the_least_recently_used_check_makes_room() -> None:
    """Within its group; what replaces it inherits nothing."""
    table = checks()
    for number in range(4):
        table.found_right(digest(number), 10.0 + number)
    table.begin(digest(0), 7, 50.0)
    table.begin(digest(9), 8, 60.0)
    assert [table.is_right(digest(number), 0.0) for number in (0, 1, 2, 3, 9)] == [True, False, True, True, False]


def test_forked_processes_share_the_memory() -> None:
    """What a child writes while it has the lock, the parent reads."""
    memory = SharedMemory([8 * 3], stuck="stuck")
    table = TimesTable(memory.parts[0], 3, 1)
    child = os.fork()
    if not child:
        with memory.alone() as is_alone:
            table.add(0, 7.0)
        os._exit(0 if is_alone else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with memory.alone() as is_alone:
        assert (is_alone, table.recent(0, 0.0)) == (True, [7.0])
