"""Bulkheads: how many callers run, how many queue and in which order, and which are rejected."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from harness.own_time import OwnTime
from harness.waiting import until

from tokenserver.errors import Overloaded
from tokenserver.runtime.bulkhead import Bulkhead

SECONDS = 10.0


def bulkhead(workers: int = 1, queue: int = 0, wait: float = SECONDS) -> Bulkhead:
    """A bulkhead with a stopped clock."""
    return Bulkhead("hashing", workers=workers, queue=queue, wait=wait, monotonic=lambda: 0.0)


def has_load(room: Bulkhead, load: tuple[int, int]) -> bool:
    """Whether this many callers run and this many wait."""
    return room.load == load


def test_no_more_than_the_workers_at_once() -> None:
    """Forty threads, three slots: never more than three inside, and all of them get in."""
    room = bulkhead(workers=3, queue=40)
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with room:
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(40) as pool:
        for future in [pool.submit(work) for _ in range(40)]:
            future.result(SECONDS)
    assert (most, room.load) == (3, (0, 0))


def test_rejected_immediately() -> None:
    """A caller that finds the queue full is rejected within 100 ms, with a retry time.

    See docs/design/threats.md#fault-29.
    """
    room = bulkhead(workers=1, queue=0)
    own = OwnTime(os.getpid())
    with room, pytest.raises(Overloaded) as raised, room:
        pass
    assert own.seconds < 0.1
    assert (raised.value.backend, raised.value.retry_after) == ("hashing", 2)
    assert room.load == (0, 0)


def test_rejected_before_other_work() -> None:
    """A caller that could not enter later is rejected now and counted; one that could takes no slot by asking."""
    room = bulkhead(workers=1, queue=1)
    room.reject_if_full()
    with ThreadPoolExecutor(1) as pool:
        with room:
            room.reject_if_full()
            waiting = pool.submit(lambda: room.__enter__() or room.__exit__(None, None, None))  # type: ignore[func-returns-value]
            until(partial(has_load, room, (1, 1)), seconds=SECONDS)
            with pytest.raises(Overloaded, match="no room to wait") as raised:
                room.reject_if_full()
            assert (room.load, room.rejected, raised.value.retry_after) == ((1, 1), 1, 2)
        waiting.result(SECONDS)
    room.reject_if_full()
    assert (room.load, room.rejected) == ((0, 0), 1)


def test_waits_for_a_bounded_time() -> None:
    """A caller that waits too long is rejected, and leaves no slot taken."""
    room = bulkhead(workers=1, queue=1, wait=0.01)
    with room:
        with pytest.raises(Overloaded, match="waited too long"), room:
            pass
        assert room.load == (1, 0)
    assert room.load == (0, 0)


def test_first_come_first_served() -> None:
    """A slot is handed to the caller that has waited longest; no other caller gets in between."""
    room = bulkhead(workers=1, queue=5)
    served: list[int] = []

    def work(number: int) -> None:
        with room:
            served.append(number)

    with ThreadPoolExecutor(5) as pool, room:
        for number in range(5):
            pool.submit(work, number)
            until(partial(has_load, room, (1, number + 1)), seconds=SECONDS)
    assert served == [0, 1, 2, 3, 4]


def test_an_error_inside_frees_the_slot() -> None:
    """The slot is free again after any exception."""
    room = bulkhead()
    with pytest.raises(ValueError, match="inside"), room:
        raise ValueError("inside")
    assert room.load == (0, 0)


def test_two_bulkheads_are_independent() -> None:
    """A full bulkhead of a directory does not affect the one for hashing."""
    directory, hashing = bulkhead(), bulkhead()
    with directory:
        with pytest.raises(Overloaded), directory:
            pass
        with hashing:
            assert hashing.load == (1, 0)


def test_overload_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each rejected caller would add to the load; the line has their number."""
    now = 0.0
    room = Bulkhead("corp", workers=0, queue=0, wait=1, monotonic=lambda: now)

    def shed(times: int) -> None:
        for _ in range(times):
            with pytest.raises(Overloaded), room:
                pass

    with caplog.at_level(logging.WARNING):
        shed(100)
        now = 10.0
        shed(1)
    assert [record.getMessage() for record in caplog.records] == [
        f"corp: overloaded: limit is 0 running and 0 queued; {count} rejected so far" for count in (1, 101)
    ]


def test_a_caller_aside_lets_another_in() -> None:
    """A caller that waits for something else gives up its slot; the caller that took it is not evicted afterwards."""
    room = bulkhead(workers=1, queue=1)
    entered, may_leave = threading.Event(), threading.Event()

    def work() -> None:
        with room:
            entered.set()
            may_leave.wait(SECONDS)

    with ThreadPoolExecutor(1) as pool, room:
        other = pool.submit(work)
        until(partial(has_load, room, (1, 1)), seconds=SECONDS)
        with room.slot_released():
            assert entered.wait(SECONDS)
            assert room.load == (1, 0)
        assert room.load == (2, 0)
        may_leave.set()
        other.result(SECONDS)
    assert room.load == (0, 0)


def test_no_caller_enters_while_too_many_are_inside() -> None:
    """Two callers returned to one slot: the first to leave frees none, the second hands it to the waiting one."""
    room = bulkhead(workers=1, queue=1)
    aside = [room.slot_released() for _ in range(2)]
    for one in aside:
        room.__enter__()
        one.__enter__()
    for one in aside:
        one.__exit__(None, None, None)
    assert room.load == (2, 0)

    def work() -> None:
        with room:
            pass

    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(work)
        until(partial(has_load, room, (2, 1)), seconds=SECONDS)
        room.__exit__(None, None, None)
        assert room.load == (1, 1)
        room.__exit__(None, None, None)
        last.result(SECONDS)
    assert room.load == (0, 0)


def test_an_error_aside_takes_the_slot_back() -> None:
    """After any exception the slot is taken again, and given back once."""
    room = bulkhead()
    with pytest.raises(ValueError, match="aside"), room, room.slot_released():
        raise ValueError("aside")
    assert room.load == (0, 0)


def test_waiting_callers_and_those_aside_share_a_limit() -> None:
    """Each of them holds a thread: the more callers are aside, the fewer may wait."""
    room = Bulkhead("requests", workers=1, queue=5, wait=SECONDS, monotonic=lambda: 0.0, parked=1)
    room.__enter__()
    with room.slot_released(), room, pytest.raises(Overloaded, match="no room to wait"), room:
        pass
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: room.__enter__() or room.__exit__(None, None, None))  # type: ignore[func-returns-value]
        until(partial(has_load, room, (1, 1)), seconds=SECONDS)
        with pytest.raises(Overloaded, match="no room to wait"), room:
            pass
        room.__exit__(None, None, None)
        waiting.result(SECONDS)
    assert room.load == (0, 0)
