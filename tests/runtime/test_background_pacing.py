"""A pacer rests when a rest is due, and only inside `yielding`."""

from __future__ import annotations

import sys

import pytest

from tokenserver.runtime.background_pacing import REST_SECONDS, STEP_SECONDS, WORK_SECONDS, Pacer, unpaced


class Clock:
    """A clock that moves when it is set, or when `sleep` is called."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the seconds pass immediately."""
        self.slept.append(seconds)
        self.now += seconds


def test_it_rests_after_a_while_of_work() -> None:
    """Not after each piece, or the rest would take longer than the work."""
    clock = Clock()
    pace = Pacer(monotonic=clock, sleep=clock.sleep)
    with pace.yielding():
        for _ in range(8):
            pace()
            clock.now += WORK_SECONDS * 0.4
    assert clock.slept == [REST_SECONDS, REST_SECONDS]


def test_it_does_not_rest_outside_of_yielding() -> None:
    """The first load delays no request, and should end soon."""
    clock = Clock()
    pace = Pacer(monotonic=clock, sleep=clock.sleep)
    pace()
    with pace.yielding():
        pass
    clock.now += 10
    pace()
    unpaced()
    assert clock.slept == []


def test_the_switch_interval_is_short_meanwhile() -> None:
    """Afterwards it is as before, also after an error."""
    usual = sys.getswitchinterval()
    pace = Pacer()
    with pace.yielding():
        assert sys.getswitchinterval() == pytest.approx(STEP_SECONDS)
    assert sys.getswitchinterval() == usual
    with pytest.raises(RuntimeError), pace.yielding():
        raise RuntimeError
    assert sys.getswitchinterval() == usual
    assert pace._due is None


def test_two_threads_yield_at_the_same_time() -> None:
    """The switch interval is short until the last of them is done, whichever that is."""
    usual = sys.getswitchinterval()
    first, second = Pacer().yielding(), Pacer().yielding()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(STEP_SECONDS)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == usual
