"""What a sealer and the storage say to each other, and that the first seal waits a moment and no longer."""

from __future__ import annotations

import pytest

from tokenserver.exchange.audit_chain.record import FIRST_SECONDS, ChainRecord, SealedChain
from tokenserver.exchange.audit_chain.seal_text import StatedChain

BEFORE = [StatedChain("AAAAAAAA", 7, "2027-01-31T11:00:00.000Z")]


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def record(clock: Clock) -> ChainRecord:
    return ChainRecord("host :1", monotonic=clock)


def waits(record: ChainRecord) -> bool:
    return record.is_awaited


def newest(record: ChainRecord) -> SealedChain | None:
    return record.newest


def test_the_first_seal_waits_a_moment(record: ChainRecord, clock: Clock) -> None:
    """From the first call on: a start may take long."""
    clock.now += 1000
    assert waits(record)
    clock.now += FIRST_SECONDS - 0.1
    assert waits(record)
    clock.now += 0.1
    assert not waits(record)
    assert not record.is_known


def test_an_answer_ends_the_wait(record: ChainRecord) -> None:
    """Also one that there is nothing."""
    assert waits(record)
    record.came_before([])
    assert not waits(record)
    assert record.is_known


def test_what_came_before_is_stated_once(record: ChainRecord) -> None:
    """By the seal that was written; one that was not written has stated nothing."""
    record.came_before(BEFORE)
    assert record.stating() == BEFORE
    assert (record.stated(), record.stating()) == ((), BEFORE)
    record.sealed("BBBBBBBB:1:digest", 5.0, closes=False)
    assert (record.stated(), record.stating()) == (BEFORE, ())
    record.sealed("BBBBBBBB:2:digest", 6.0, closes=False)
    assert record.stated() == BEFORE
    record.is_noted()
    assert record.stated() == ()


def test_an_answer_that_comes_late(record: ChainRecord) -> None:
    """It is in the next seal; not in one whose text was made before."""
    assert record.stating() == ()
    record.came_before(BEFORE)
    record.sealed("BBBBBBBB:1:digest", 5.0, closes=False)
    assert (record.stated(), record.stating()) == ((), BEFORE)


def test_how_far_it_is_sealed(record: ChainRecord) -> None:
    """The number of the last seal, and the time of the first one."""
    assert newest(record) is None
    record.sealed("BBBBBBBB:1:digest", 5.0, closes=False)
    assert newest(record) == SealedChain("BBBBBBBB", 1, 5.0, 5.0, False)
    record.sealed("BBBBBBBB:34:digest:2", 65.0, closes=True)
    assert newest(record) == SealedChain("BBBBBBBB", 34, 5.0, 65.0, True)
