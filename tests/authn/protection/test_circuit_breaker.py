"""The circuit breaker: when a source is left alone, when it is tried again, and what everybody else hears meanwhile."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from harness.own_time import OwnTime

from tokenserver.authn.protection.circuit_breaker import PATIENCE_SECONDS, Breaker, Sheltered, State
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials, Overloaded
from tokenserver.identity import Identity, Kind
from tokenserver.runtime.bulkhead import Bulkhead

SECONDS = 60.0
ANN = Identity("ann", Kind.PASSWORD, "corp")
LOGIN = Password("ann", Secret("x"))
DOWN = BackendUnavailable("corp", "connection refused")


@dataclass
class Clock:
    """A clock that advances only when it is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


@dataclass
class Source:
    """A user source with one answer, which is raised if it is an error; counts its callers."""

    answer: Any = ANN
    name: str = "corp"
    asked: int = 0
    during: Callable[[], None] = field(default=lambda: None)

    def authenticate(self, credentials: Password) -> Identity | None:  # noqa: ARG002 - the protocol's signature
        """The answer."""
        self.asked += 1
        self.during()
        if isinstance(self.answer, BaseException):
            raise self.answer
        identity: Identity | None = self.answer
        return identity


@dataclass
class Setup:
    """A source behind a breaker (three failures, five seconds) and a bulkhead."""

    source: Source = field(default_factory=Source)
    clock: Clock = field(default_factory=Clock)
    workers: int = 10

    def __post_init__(self) -> None:
        self.breaker = Breaker("corp", monotonic=self.clock, failures=3, seconds=5)
        self.room = Bulkhead("corp", workers=self.workers, queue=0, wait=SECONDS, monotonic=self.clock)
        self.sheltered = Sheltered(self.source, self.breaker, self.room)

    def ask(self, times: int = 1) -> list[Any]:
        """The outcomes of this many logins."""
        found: list[Any] = []
        for _ in range(times):
            try:
                found.append(self.sheltered.authenticate(LOGIN))
            except (BackendUnavailable, InvalidCredentials) as error:
                found.append(str(error.reason))
        return found


LEFT_ALONE = "is not asked now, because it failed: does not answer"


def test_opens_after_failures_in_a_row() -> None:
    """The third failure opens it; after that no login waits for the source, and each gets a retry time.

    See docs/design/threats.md#fault-1.
    """
    setup = Setup(Source(DOWN))
    assert setup.ask(5) == ["connection refused"] * 3 + [LEFT_ALONE] * 2
    assert (setup.source.asked, setup.breaker.state) == (3, State.OPEN)
    with pytest.raises(BackendUnavailable) as raised:
        setup.sheltered.authenticate(LOGIN)
    assert (raised.value.backend, raised.value.retry_after) == ("corp", 5)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ANN, id="yes"),
        pytest.param(None, id="not mine"),
        pytest.param(InvalidCredentials("wrong password"), id="wrong"),
    ],
)
def test_any_answer_ends_the_row(answer: Any) -> None:
    """A source that says no is well: two failures, an answer and two failures do not open it."""
    setup = Setup(Source(DOWN))
    setup.ask(2)
    setup.source.answer = answer
    setup.ask()
    setup.source.answer = DOWN
    setup.ask(2)
    assert (setup.breaker.state, setup.breaker.problem) == (State.CLOSED, None)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Overloaded("corp", "no room"), id="overload"),
        pytest.param(InvalidCredentials("wrong password"), id="wrong"),
        pytest.param(Incomplete("corp", "tells a part of the groups"), id="incomplete"),
    ],
)
def test_what_does_not_count(answer: Any) -> None:
    """Neither wrong passwords nor our own overload say that the source is down, nor an answer about one user that is
    not whole.
    """
    setup = Setup(Source(answer))
    setup.ask(10)
    assert (setup.source.asked, setup.breaker.state) == (10, State.CLOSED)


def test_half_open_lets_one_through() -> None:
    """After the pause one login probes the source; meanwhile the others are still rejected immediately."""
    setup = Setup(Source(DOWN))
    setup.ask(3)
    setup.clock.now += 5
    assert setup.breaker.state is State.HALF_OPEN
    begun, may_end = threading.Event(), threading.Event()

    def during() -> None:
        begun.set()
        assert may_end.wait(SECONDS)

    setup.source.answer, setup.source.during = ANN, during
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(setup.ask)
        assert begun.wait(SECONDS)
        assert (setup.ask(4), setup.breaker.state) == ([LEFT_ALONE] * 4, State.HALF_OPEN)
        may_end.set()
        assert probe.result(SECONDS) == [ANN]
    assert (setup.breaker.state, setup.source.asked) == (State.CLOSED, 4)
    setup.source.during = lambda: None
    assert setup.ask(2) == [ANN, ANN]


def test_a_failed_probe_opens_it_again() -> None:
    """One failed try is enough for another rest, of the same length."""
    setup = Setup(Source(DOWN))
    setup.ask(3)
    setup.clock.now += 5
    assert setup.ask(2) == ["connection refused", LEFT_ALONE]
    setup.clock.now += 4.9
    assert setup.ask() == [LEFT_ALONE]
    setup.clock.now += 0.1
    setup.source.answer = ANN
    assert setup.ask() == [ANN]


@pytest.mark.parametrize(
    "error",
    [pytest.param(Overloaded("corp", "no room"), id="overload"), pytest.param(ValueError("a bug"), id="a bug")],
)
def test_a_probe_that_says_nothing_leaves_room_for_the_next(error: Exception) -> None:
    """A probe that never came as far as the source does not keep the breaker half open for ever."""
    setup = Setup(Source(DOWN))
    setup.ask(3)
    setup.clock.now += 5
    setup.source.answer = error
    with pytest.raises(type(error)):
        setup.sheltered.authenticate(LOGIN)
    setup.source.answer = ANN
    assert (setup.ask(), setup.breaker.state) == ([ANN], State.CLOSED)


@dataclass
class Probed(Source):
    """A source that can be tried without a login."""

    probed: int = 0

    def probe(self) -> None:
        """As a login would be answered."""
        self.probed += 1
        self.during()
        if isinstance(self.answer, BaseException):
            raise self.answer


def test_a_source_is_tried_without_a_login() -> None:
    """The login that comes when it is time waits for the try, and is itself checked only where that went well."""
    source = Probed(DOWN)
    setup = Setup(source)
    setup.ask(3)
    setup.clock.now += 5
    assert setup.ask(2) == ["connection refused", LEFT_ALONE]
    assert (source.asked, source.probed, setup.breaker.state) == (3, 1, State.OPEN)
    setup.clock.now += 5
    source.answer = ANN
    assert setup.ask(2) == [ANN, ANN]
    assert (source.asked, source.probed, setup.breaker.state) == (5, 2, State.CLOSED)


def test_nobody_waits_for_a_silent_source() -> None:
    """The try of a source that says nothing goes on without the login that began it, and one at a time.

    See docs/design/threats.md#fault-2.
    """
    source = Probed(DOWN)
    setup = Setup(source)
    setup.ask(3)
    setup.clock.now += 5
    may_end = threading.Event()
    source.during = lambda: assert_set(may_end)
    own = OwnTime(os.getpid())
    assert setup.ask(3) == ["is being tried again, and has not answered yet", LEFT_ALONE, LEFT_ALONE]
    assert own.seconds < PATIENCE_SECONDS + 0.5
    assert (source.probed, setup.room.load, setup.breaker.state) == (1, (0, 0), State.HALF_OPEN)
    source.answer = ANN
    may_end.set()
    deadline = time.monotonic() + SECONDS
    while setup.breaker.state is not State.CLOSED:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (setup.ask(), source.asked) == ([ANN], 4)


def assert_set(event: threading.Event) -> None:
    """Wait for it."""
    assert event.wait(SECONDS)


def test_a_bug_in_a_try_leaves_room_for_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """As for a login that never reached the source; and it is reported, even if no login waits for it."""
    source = Probed(DOWN)
    setup = Setup(source)
    setup.ask(3)
    setup.clock.now += 5
    source.answer = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        setup.sheltered.authenticate(LOGIN)
    assert "corp: the probe failed because of a bug in this server" in caplog.messages
    source.answer = ANN
    assert (setup.ask(), setup.breaker.state) == ([ANN], State.CLOSED)


def test_late_answers_of_an_earlier_age_do_not_count() -> None:
    """What was asked before the breaker opened neither closes it nor prolongs its rest."""
    setup = Setup()
    early = [setup.breaker.admit() for _ in range(5)]
    for number in early[:3]:
        setup.breaker.failed(number, DOWN)
    assert setup.breaker.state is State.OPEN
    setup.breaker.answered(early[3])
    assert setup.breaker.state is State.OPEN
    setup.clock.now += 5
    setup.breaker.failed(early[4], DOWN)
    assert (setup.breaker.state, setup.ask()) == (State.HALF_OPEN, [ANN])


def test_who_waited_for_a_place_does_not_ask_a_source_that_is_left_alone_by_now() -> None:
    """The breaker is asked again behind the queue, or each of those in it would wait for the source in turn.

    See docs/design/threats.md#fault-2.
    """
    setup = Setup()

    class Opening(Bulkhead):
        def __enter__(self) -> None:
            super().__enter__()
            for _ in range(3):
                setup.breaker.failed(setup.breaker.admit() if setup.breaker.state is State.CLOSED else 0, DOWN)

    room = Opening("corp", workers=1, queue=0, wait=1, monotonic=setup.clock)
    with pytest.raises(BackendUnavailable, match=LEFT_ALONE):
        Sheltered(setup.source, setup.breaker, room).authenticate(LOGIN)
    assert (setup.source.asked, room.load) == (0, (0, 0))


def test_a_full_bulkhead_sends_away_at_once() -> None:
    """No more threads are held by a slow source than it has places (docs/design/threats.md#fault-2)."""
    setup = Setup(workers=0)
    with pytest.raises(Overloaded):
        setup.sheltered.authenticate(LOGIN)
    assert (setup.source.asked, setup.breaker.state) == (0, State.CLOSED)


def test_what_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line for each change; /readyz a sentence without a host name in it."""
    setup = Setup(Source(DOWN))
    with caplog.at_level(logging.INFO):
        setup.ask(10)
        problem = setup.breaker.problem
        setup.clock.now += 5
        setup.source.answer = ANN
        setup.ask()
    assert [(record.levelname, record.getMessage().partition(";")[0]) for record in caplog.records] == [
        ("ERROR", "corp: failed 3 times in a row, last with: connection refused"),
        ("WARNING", "corp: answers again"),
    ]
    assert problem == "does not answer; the circuit breaker is open and one login tries it every 5 s"


def test_the_name_is_the_source_s() -> None:
    """Audit events call it as the configuration does."""
    assert Setup().sheltered.name == "corp"
