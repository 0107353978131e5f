"""Several shared counters as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from worker_worlds import LIMITS, World, X, Y, counted_as

from tokenserver.authn.protection.combined_counters import Counters
from tokenserver.authn.protection.failure_counters import Limit, Limits, growing
from tokenserver.authn.protection.throttle import Counted, Standing


def test_the_first_that_can_tell() -> None:
    """Redis decides while it answers; the workers' own counters, which record everything, are the fallback."""
    first, second = World(), World()

    class Redis:
        note: str | None = None

        def __getattr__(self, name: str) -> Callable[..., object]:
            return getattr(first.counters, name)  # type: ignore[no-any-return]  # it stands for all of them

    redis = Redis()
    both = Counters(redis, second.counters)  # type: ignore[arg-type]  # its methods are found by name
    counted = counted_as("ann")
    for number in range(5):
        assert both.standing(counted) is not None
        both.failed(Counted("ann", X, 1, 1, 1, str(number).encode()), is_good=False)
    assert both.was_refused(Counted("ann", X, 1, 1, 1, b"4"))
    both.succeeded(counted)
    found = both.standing(counted)
    assert found is not None
    assert found.is_good
    limits = Limits(growing(4, 10), (Limit(7, 7),), (Limit(70, 7),))
    both.limit(limits, repeat=5.0)
    assert both.limits == first.counters.limits == second.counters.limits == limits
    both.limit(LIMITS, repeat=5.0)
    redis.standing = lambda _counted: None  # type: ignore[attr-defined]
    redis.note = "redis does not answer"
    stood_in = both.standing(Counted("ann", Y, 1, 2, 2, b"5"))
    assert stood_in is not None
    assert (stood_in.left, stood_in.wait(0) > 0, both.note) == (0, True, "redis does not answer")


GOOD = Standing(left=3, user_wait=0.0, others_wait=0.0, is_good=True, weight=1)
FULL = Standing(left=0, user_wait=9.0, others_wait=0.0, is_good=False, weight=2)
FREE = Standing(left=3, user_wait=0.0, others_wait=0.0, is_good=False, weight=1)


@dataclass
class Fake:
    """Counters with one standing, which record what they are told."""

    now: Standing | None = None
    refused: bool = False
    note: str | None = None
    told: list[tuple[str, bool | None]] = field(default_factory=list)
    limits: Limits = LIMITS

    def limit(self, limits: Limits, *, repeat: float) -> None:  # noqa: ARG002 - as the protocol names it
        """See `Together`."""
        self.limits = limits

    def was_refused(self, _counted: Counted) -> bool:
        """See `Together`."""
        return self.refused

    def standing(self, _counted: Counted) -> Standing | None:
        """See `Together`."""
        return self.now

    def failed(self, _counted: Counted, *, is_good: bool) -> None:
        """See `Together`."""
        self.told.append(("failed", is_good))

    def succeeded(self, _counted: Counted) -> None:
        """See `Together`."""
        self.told.append(("succeeded", None))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(None, None, None, id="none can tell"),
        pytest.param(FREE, None, (0, False), id="the first alone"),
        pytest.param(None, FULL, (9, False), id="the second alone"),
        pytest.param(FREE, FULL, (9, False), id="the longer wait"),
        pytest.param(FULL, FREE, (9, False), id="in either order"),
        pytest.param(GOOD, FULL, (0, True), id="known at this place: failures elsewhere do not count"),
        pytest.param(None, GOOD, (0, True), id="known to the first that can tell"),
        pytest.param(FULL, GOOD, (9, False), id="not known to the first that can tell"),
    ],
)
def test_standing(first: Standing | None, second: Standing | None, expected: tuple[float, bool] | None) -> None:
    """The first counters that can tell decide whether the user is known; the longest wait counts."""
    found = Counters(Fake(first), Fake(second)).standing(counted_as("ann"))
    assert (None if found is None else (found.wait(0), found.is_good)) == expected


def test_a_try_ends_everywhere() -> None:
    """Tries under way are recorded at each of the counters, and end at each."""
    ended: list[str] = []
    first, second = replace(FREE, ended=lambda: ended.append("1")), replace(FULL, ended=lambda: ended.append("2"))
    found = Counters(Fake(first), Fake(second)).standing(counted_as("ann"))
    assert found is not None
    found.ended()
    assert ended == ["1", "2"]


def test_everything_is_recorded_everywhere() -> None:
    """So that any of them can take over; one that refused this login is enough to refuse it."""
    first, second = Fake(), Fake(refused=True, note="the second does not answer")
    both = Counters(first, second)
    both.failed(counted_as("ann"), is_good=True)
    both.succeeded(counted_as("ann"))
    assert first.told == second.told == [("failed", True), ("succeeded", None)]
    assert both.was_refused(counted_as("ann"))
    assert not Counters(first).was_refused(counted_as("ann"))
    assert (both.note, Counters(first).note, both.limits) == ("the second does not answer", None, LIMITS)
