"""A jump of the clock is detected, reported while tokens from before it live, and forgotten when it is undone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tokenserver.runtime.clock_jumps import LEEWAY, REMEMBERED_SECONDS, ClockJumpDetector, steady_seconds

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass
class World:
    """Both clocks."""

    now: float = 1_800_000_000.0
    monotonic: float = 50.0

    def __post_init__(self) -> None:
        self.clock = ClockJumpDetector(now=lambda: self.now, monotonic=lambda: self.monotonic)

    def after(self, seconds: float, *, moved: float = 0.0) -> float | None:
        """The reported jump after that much time, in which the clock was moved by `moved`."""
        self.monotonic += seconds
        self.now += seconds + moved
        jump = self.clock.jump()
        return None if jump is None else round(jump, 3)


@pytest.mark.parametrize("moved", [HOUR, -HOUR, DAY, -DAY, LEEWAY + 1, -LEEWAY - 1])
def test_a_jump_is_noticed(moved: float, caplog: pytest.LogCaptureFixture) -> None:
    """In both directions, at the first check, and logged once (docs/design/threats.md#fault-21)."""
    world = World()
    assert world.after(1) is None
    assert [world.after(1, moved=moved), world.after(1), world.after(60)] == [moved] * 3
    way = "ahead" if moved > 0 else "back"
    assert [record.getMessage() for record in caplog.records] == [f"the clock jumped {way} by {abs(moved):.0f} s"]
    assert (world.clock.note or "").startswith(f"jumped {way} by {abs(moved):.0f} s; if it was right before, ")


def test_time_that_passes_is_no_jump() -> None:
    """A day between two checks, a leap second, and a clock that is corrected slowly."""
    world = World()
    assert world.after(DAY) is None
    assert world.after(1, moved=-1) is None
    assert [world.after(10, moved=LEEWAY / 2) for _ in range(100)] == [None] * 100
    assert world.clock.note is None


def test_a_jump_that_is_undone_is_forgotten_immediately() -> None:
    """At any time within the hour, and to within the leeway."""
    world = World()
    world.after(1, moved=-HOUR)
    assert world.after(600) == -HOUR
    assert world.after(1, moved=HOUR - 5) is None
    assert world.after(1) is None
    assert world.after(1, moved=DAY) == DAY


def test_jumps_add_up() -> None:
    """The distance from where the clock was before the first one counts."""
    world = World()
    assert world.after(1, moved=HOUR) == HOUR
    assert world.after(1, moved=HOUR) == 2 * HOUR
    assert world.after(1, moved=-HOUR) == HOUR
    assert world.after(1, moved=-HOUR) is None


def test_after_an_hour_it_is_the_time_of_day() -> None:
    """The last token from before has expired, so the new time becomes the reference for later jumps."""
    world = World()
    world.after(1, moved=-DAY)
    assert world.after(REMEMBERED_SECONDS - 2) == -DAY
    assert world.after(2) is None
    assert world.clock.note is None
    assert world.after(1, moved=-HOUR) == -HOUR


def test_the_steady_clock_goes_on() -> None:
    """The clock that the server uses never goes back."""
    before = steady_seconds()
    assert steady_seconds() >= before
