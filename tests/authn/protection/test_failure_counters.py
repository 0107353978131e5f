"""Failed logins of one process, and the limits that they are measured against."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.protection.failure_counters import (
    Failures,
    Limit,
    Limits,
    forgotten_after,
    growing,
    halved,
    shared,
)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        pytest.param(1, [5, 7, 10], id="one"),
        pytest.param(2, [3, 4, 5], id="two"),
        pytest.param(4, [2, 2, 3], id="four"),
        pytest.param(64, [2, 2, 2], id="many"),
    ],
)
def test_shared_between_workers(workers: int, expected: list[int]) -> None:
    """Each process allows its part, but always two failures: one typing error must not lock a user out."""
    assert [limit.failures for limit in shared(growing(5, 300), workers)] == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param([Limit(100, 300)], [(50, 300)], id="half"),
        pytest.param([Limit(5, 300)], [(2, 300)], id="rounded down"),
        pytest.param([Limit(1, 300)], [(1, 300)], id="at least one"),
        pytest.param([], [], id="none"),
    ],
)
def test_halved(limits: list[Limit], expected: list[tuple[int, float]]) -> None:
    """Half the failures in the same time."""
    assert [(one.failures, one.seconds) for one in halved(limits)] == expected


def test_forgotten_after() -> None:
    """The longest window of a user; without limits nothing is remembered."""
    assert forgotten_after(Limits(growing(5, 300), (Limit(1, 9e9),), ())) == 7200
    assert forgotten_after(Limits((), (), ())) == 0


LIMITS = [Limit(2, 10), Limit(3, 60)]


@pytest.mark.parametrize(
    ("times", "now", "under_way", "expected"),
    [
        pytest.param([], 0, 0, 0, id="nothing failed"),
        pytest.param([0], 0, 0, 0, id="one failure"),
        pytest.param([0, 1], 1, 0, 9, id="until the first of two is ten seconds old"),
        pytest.param([0, 1], 10, 0, 0, id="which is now"),
        pytest.param([0, 20, 40], 41, 0, 19, id="the longer limit"),
        pytest.param([0, 20, 40], 60, 0, 0, id="also over"),
        pytest.param([0, 1, 2], 2, 0, 58, id="the longer wait of the two"),
        pytest.param([0], 1, 1, 1, id="a try under way fills the limit: it is decided soon"),
        pytest.param([], 1, 2, 1, id="only tries under way: they are decided soon"),
        pytest.param([0], 11, 2, 1, id="an old failure and two tries"),
    ],
)
def test_wait(times: list[float], now: float, under_way: int, expected: float) -> None:
    """Seconds until all windows have room for one more failure."""
    counters = Failures(LIMITS)
    for time in times:
        counters.add(7, time)
    assert counters.wait(7, now, under_way) == expected
    assert counters.wait(8, now) == 0


def test_without_limits_nothing_is_kept() -> None:
    """No wait, and no memory."""
    counters = Failures([])
    counters.add(1, 0.0)
    assert (counters.wait(1, 0.0), len(counters)) == (0, 0)


def test_the_limits_of_all_processes() -> None:
    """With `common`, the failures here are measured against what all processes together may have."""
    counters = Failures([Limit(1, 10)], common=[Limit(2, 10)])
    counters.add(1, 0.0)
    assert (counters.wait(1, 0.0) > 0, counters.wait(1, 0.0, common=True)) == (True, 0)
    counters.add(1, 0.0)
    assert counters.wait(1, 0.0, common=True) > 0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 2)), max_size=60))
def test_as_if_every_failure_were_remembered(steps: list[tuple[float, int]]) -> None:
    """In any rhythm, the bounded counter gives the wait that a list of all failures would give."""
    counters, times, now = Failures(LIMITS), list[float](), 0.0
    for pause, under_way in steps:
        now += pause
        waits = [0.0]
        for limit in LIMITS:
            recent = [time for time in times if time > now - limit.seconds]
            if len(recent) + under_way >= limit.failures:
                waits.append(recent[-limit.failures] + limit.seconds - now if len(recent) >= limit.failures else 1.0)
        found = counters.wait(1, now, under_way)
        assert (found > 0) is (max(waits) > 0)
        if not under_way:
            assert found == max(waits)
            if found == 0:
                counters.add(1, now)
                times.append(now)


@given(st.text(max_size=30), st.integers(1, 1000))
def test_every_name_has_a_counter(name: str, buckets: int) -> None:
    """The same one each time, whatever characters the name has."""
    counters = Failures(LIMITS, buckets=buckets)
    assert 0 <= counters.bucket(name) < buckets
    assert counters.bucket(name) == counters.bucket(name)
