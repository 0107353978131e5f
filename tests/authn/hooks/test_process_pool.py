"""Processes of a program: the pause after failures, and that every one is counted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import pytest

from tokenserver.authn.hooks.child import Child, ProgramFailed
from tokenserver.authn.hooks.line_process import LineProcess
from tokenserver.authn.hooks.process_pool import FIRST_PAUSE, LONGEST_PAUSE, ProcessPool
from tokenserver.errors import BackendUnavailable


class FakeChild:
    """A process that is none."""

    def __init__(self) -> None:
        self.is_over = False

    def kill(self) -> None:
        """See `Child.kill`."""
        self.is_over = True

    def end_input(self) -> None:
        """See `Child.end_input`."""

    def end(self, seconds: float = 0.0) -> None:  # noqa: ARG002 - as the real one
        """See `Child.end`."""
        self.kill()


class FakeProcess:
    """Usable until it is over."""

    def __init__(self) -> None:
        self.child = FakeChild()

    @property
    def is_usable(self) -> bool:
        """See `LineProcess.is_usable`."""
        return not self.child.is_over


@dataclass
class World:
    """A pool of two, its clock, and the processes that it started."""

    now: float = 0.0
    started: list[FakeProcess] = field(default_factory=list)
    is_broken: bool = False

    def __post_init__(self) -> None:
        self.pool = ProcessPool("here", self._start, size=2, monotonic=lambda: self.now)

    def _start(self) -> LineProcess:
        if self.is_broken:
            raise ProgramFailed("its program cannot be started")
        self.started.append(FakeProcess())
        return cast("LineProcess", self.started[-1])

    def succeed(self) -> None:
        """A question that is answered."""
        with self.pool.process(self.now + 1):
            pass

    def interrupt(self) -> None:
        """A question that ends neither with an answer nor with a failure of the program."""
        with suppress(KeyError), self.pool.process(self.now):
            raise KeyError

    def fail(self) -> None:
        """A question at which the process fails."""
        with pytest.raises(BackendUnavailable), self.pool.process(self.now + 1):
            raise ProgramFailed("its program fails")


def test_the_pause_doubles() -> None:
    """Each failure in a row doubles it, up to a limit; an answer ends the row."""
    world = World()
    pauses = []
    for _ in range(8):
        world.fail()
        with pytest.raises(BackendUnavailable, match=r"its program fails; it is started again in \d+\.\d s"):
            world.succeed()
        begun = world.now
        while True:
            world.now += FIRST_PAUSE / 2
            count = len(world.started)
            try:
                world.interrupt()
                break
            except BackendUnavailable:
                assert len(world.started) == count
        pauses.append(round(world.now - begun, 2))
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_PAUSE, LONGEST_PAUSE], abs=0.06)
    world.succeed()
    world.fail()
    world.now += FIRST_PAUSE
    world.succeed()


def test_all_that_failed_are_over() -> None:
    """Also after an error that is a bug."""
    world = World()
    world.fail()
    world.now += 1
    world.interrupt()
    assert [one.child.is_over for one in world.started] == [True, True]


def test_an_idle_one_serves_during_the_pause() -> None:
    """The failure of one process is not that of the other."""
    world = World()
    with world.pool.process(1.0):
        world.succeed()
        world.fail()
        world.started[0].child.is_over = False
    world.succeed()
    assert len(world.started) == 2


def test_one_that_cannot_be_started_counts_as_a_failure() -> None:
    """And does not take the place of one that can."""
    world = World(is_broken=True)
    for _ in range(3):
        with pytest.raises(BackendUnavailable, match="cannot be started"):
            world.succeed()
        world.now += LONGEST_PAUSE
    world.is_broken = False
    with world.pool.process(world.now):
        world.succeed()
    assert len(world.started) == 2


def test_busy_ones_end_after_their_answers() -> None:
    """`retire` ends idle processes, and the others when they are given back."""
    world = World()
    with world.pool.process(1.0):
        world.succeed()
        world.pool.retire()
        assert [one.child.is_over for one in world.started] == [False, True]
    assert [one.child.is_over for one in world.started] == [True, True]


def test_the_fakes_are_like_the_real_ones() -> None:
    """What they replace exists."""
    assert {"kill", "end", "end_input"} <= {*dir(Child)}
    assert "is_usable" in dir(LineProcess)
