"""Single flight: concurrent identical checks run once, with one answer or one error for all callers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness.waiting import until

from tokenserver.errors import BackendUnavailable, InvalidCredentials, Overloaded, Throttled
from tokenserver.runtime.singleflight import SingleFlight

SECONDS = 10.0


class Check:
    """A check that waits for permission to end, and counts its calls."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.calls = 0
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> Any:
        """The result, raised if it is an error."""
        self.calls += 1
        self.begun.set()
        assert self.may_end.wait(SECONDS)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def followed(flights: SingleFlight[Any], check: Check, followers: int) -> list[Any]:
    """The answers or errors that the leader and its followers get."""

    def ask() -> Any:
        try:
            return flights.run(b"key", check)
        except Exception as error:
            return error

    free = flights._free
    with ThreadPoolExecutor(followers + 1) as pool:
        leader = pool.submit(ask)
        assert check.begun.wait(SECONDS)
        others = [pool.submit(ask) for _ in range(followers)]
        until(lambda: flights._free == free - followers, seconds=SECONDS)
        check.may_end.set()
        return [leader.result(SECONDS), *(other.result(SECONDS) for other in others)]


def test_one_check_for_all() -> None:
    """Callers that arrive while it runs get the same answer without a check of their own."""
    flights: SingleFlight[Any] = SingleFlight(followers=20, seconds=SECONDS)
    check = Check("ann")
    assert (followed(flights, check, 20), check.calls) == (["ann"] * 21, 1)
    assert (flights._free, flights.waiting) == (20, False)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(InvalidCredentials("wrong password"), {"reason": "wrong password"}, id="wrong"),
        pytest.param(
            BackendUnavailable("corp", "is down", 7),
            {"backend": "corp", "reason": "is down", "summary": "does not answer", "retry_after": 7},
            id="down",
        ),
        pytest.param(Throttled(30), {"retry_after": 30}, id="throttled"),
        pytest.param(ValueError("a bug"), {}, id="a bug"),
    ],
)
def test_errors_are_shared(error: Exception, told: dict[str, Any]) -> None:
    """All callers fail with equal errors, with all details; each thread gets its own exception object."""
    flights: SingleFlight[Any] = SingleFlight(followers=3, seconds=SECONDS)
    found = followed(flights, Check(error), 3)
    assert [(type(one), vars(one), one.args) for one in found] == [(type(error), told, error.args)] * 4
    assert len({id(one) for one in found}) == 4


def test_nothing_lingers() -> None:
    """A call after the end is checked again."""
    flights: SingleFlight[Any] = SingleFlight(followers=1, seconds=SECONDS)
    answers = iter(["first", "second"])
    assert [flights.run(b"key", lambda: next(answers)) for _ in range(2)] == ["first", "second"]


def test_others_do_not_wait() -> None:
    """Another login is checked while the first one is still under way."""
    flights: SingleFlight[Any] = SingleFlight(followers=0, seconds=SECONDS)
    check = Check("ann")
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(flights.run, b"ann", check)
        assert check.begun.wait(SECONDS)
        assert flights.waiting
        assert flights.run(b"ben", lambda: "ben") == "ben"
        check.may_end.set()
        assert leader.result(SECONDS) == "ann"


def test_followers_are_bounded() -> None:
    """Beyond the limit no caller waits: each of them would hold a thread of the server."""
    flights: SingleFlight[Any] = SingleFlight(followers=0, seconds=SECONDS)
    check = Check("ann")
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(flights.run, b"ann", check)
        assert check.begun.wait(SECONDS)
        with pytest.raises(Overloaded):
            flights.run(b"ann", check)
        check.may_end.set()
        assert (leader.result(SECONDS), check.calls) == ("ann", 1)


def test_followers_wait_for_a_bounded_time() -> None:
    """A check that hangs does not hold its followers for ever."""
    flights: SingleFlight[Any] = SingleFlight(followers=1, seconds=0.01)
    check = Check("ann")
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(flights.run, b"ann", check)
        assert check.begun.wait(SECONDS)
        with pytest.raises(Overloaded):
            flights.run(b"ann", check)
        check.may_end.set()
        assert leader.result(SECONDS) == "ann"
    assert flights._free == 1
