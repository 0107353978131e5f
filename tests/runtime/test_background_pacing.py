"""The pace of work in the background: it rests when it is due, and only while it steps aside."""

from __future__ import annotations

import sys

import pytest

from tokenserver.runtime.background_pacing import REST_SECONDS, STEP_SECONDS, WORK_SECONDS, Pace, unpaced


class Clock:
    """A clock that moves when it is told to, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Seconds that pass at once."""
        self.slept.append(seconds)
        self.now += seconds


def test_it_rests_after_a_while_of_work() -> None:
    """Not after each piece, or the rest would take longer than the work."""
    clock = Clock()
    pace = Pace(monotonic=clock, sleep=clock.sleep)
    with pace.stepping_aside():
        for _ in range(8):
            pace()
            clock.now += WORK_SECONDS * 0.4
    assert clock.slept == [REST_SECONDS, REST_SECONDS]


def test_nothing_rests_that_does_not_step_aside() -> None:
    """The first load delays nobody, and should be over soon."""
    clock = Clock()
    pace = Pace(monotonic=clock, sleep=clock.sleep)
    pace()
    with pace.stepping_aside():
        pass
    clock.now += 10
    pace()
    unpaced()
    assert clock.slept == []


def test_the_switch_interval_is_short_meanwhile() -> None:
    """And as before afterwards, also after an error."""
    usual = sys.getswitchinterval()
    pace = Pace()
    with pace.stepping_aside():
        assert sys.getswitchinterval() == pytest.approx(STEP_SECONDS)
    assert sys.getswitchinterval() == usual
    with pytest.raises(RuntimeError), pace.stepping_aside():
        raise RuntimeError
    assert sys.getswitchinterval() == usual
    assert pace._due is None


def test_threads_step_aside_at_the_same_time() -> None:
    """The switch interval is short until the last of them is done, whichever that is."""
    usual = sys.getswitchinterval()
    first, second = Pace().stepping_aside(), Pace().stepping_aside()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(STEP_SECONDS)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == usual
