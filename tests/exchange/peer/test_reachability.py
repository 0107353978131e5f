"""When the peer is asked: pauses after failures and refusals, one question that tries it, one line for each change."""

from __future__ import annotations

import pytest
from fake_issuer import SetClock

from tokenserver.exchange.peer.reachability import (
    FAILURES,
    PAUSE_SECONDS,
    REFUSALS,
    REFUSED_SECONDS,
    Reachability,
)
from tokenserver.exchange.peer.shared_keys import SharedKeys


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def peer(clock: SetClock) -> Reachability:
    return Reachability("https://old/auth", monotonic=clock, together=SharedKeys())


def test_an_outage(peer: Reachability, clock: SetClock, caplog: pytest.LogCaptureFixture) -> None:
    """A pause after some failures in a row, one question when it is over, and two lines for all of it."""
    for _ in range(FAILURES - 1):
        peer.failed("refused: Connection refused")
        assert (peer.is_due(clock.now), peer.admit()) == (True, True)
    peer.failed("refused: Connection refused")
    assert (peer.is_due(clock.now), peer.admit()) == (False, False)
    clock.now += PAUSE_SECONDS
    assert peer.is_due(clock.now)
    assert [peer.admit(), peer.admit()] == [True, False]
    peer.failed("timeout: no answer in 5 s")
    assert not peer.admit()
    clock.now += PAUSE_SECONDS
    assert peer.admit()
    peer.answered(is_login=False)
    assert [peer.admit(), peer.admit()] == [True, True]
    assert [record.getMessage() for record in caplog.records] == [
        "the shadow peer https://old/auth cannot be asked: refused: Connection refused; it is tried every 30 s",
        "the shadow peer https://old/auth answers again",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_failures_that_are_not_in_a_row(peer: Reachability, caplog: pytest.LogCaptureFixture) -> None:
    """An answer in between counts, also a refusal."""
    for answer in (peer.refused, lambda: peer.answered(is_login=True), lambda: peer.answered(is_login=False)):
        for _ in range(FAILURES - 1):
            peer.failed("x")
        answer()
    assert (peer.admit(), caplog.records) == (True, [])


def test_a_peer_that_refuses_everybody(peer: Reachability, clock: SetClock, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked rarely, so that no account is locked there; anonymous answers in between prove nothing."""
    for _ in range(REFUSALS):
        assert peer.admit()
        peer.answered(is_login=False)
        peer.refused()
    assert not peer.admit()
    for _ in range(3):
        clock.now += REFUSED_SECONDS
        assert [peer.admit(), peer.admit()] == [True, False]
        peer.refused()
        clock.now += PAUSE_SECONDS
        assert not peer.admit()
    clock.now += REFUSED_SECONDS
    assert peer.admit()
    peer.answered(is_login=False)
    assert not peer.admit()
    clock.now += PAUSE_SECONDS
    assert peer.admit()
    peer.answered(is_login=True)
    assert [peer.admit(), peer.admit()] == [True, True]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "refused 10 logins in a row that are right here" in lines[0]


def test_some_refusals_are_differences(peer: Reachability, caplog: pytest.LogCaptureFixture) -> None:
    """Not every user has to exist there."""
    for _ in range(5):
        for _ in range(REFUSALS - 1):
            peer.refused()
        peer.answered(is_login=True)
    assert (peer.admit(), caplog.records) == (True, [])


def test_refusals_end_an_outage(peer: Reachability, clock: SetClock, caplog: pytest.LogCaptureFixture) -> None:
    """A peer that refuses a login answers."""
    for _ in range(FAILURES):
        peer.failed("x")
    clock.now += PAUSE_SECONDS
    assert peer.admit()
    peer.refused()
    assert [peer.admit(), peer.admit()] == [True, True]
    assert len(caplog.records) == 2


def test_one_worker_writes_the_lines(clock: SetClock, caplog: pytest.LogCaptureFixture) -> None:
    """However many there are; the next outage has lines of its own."""
    together = SharedKeys()
    workers = [Reachability("https://old/auth", monotonic=clock, together=together) for _ in range(3)]
    for _ in range(2):
        for worker in workers:
            for _ in range(FAILURES):
                worker.failed("x")
        clock.now += PAUSE_SECONDS
        for worker in reversed(workers):
            assert worker.admit()
            worker.answered(is_login=True)
    lines = [record.getMessage().split()[4] for record in caplog.records]
    assert lines == ["cannot", "answers", "cannot", "answers"]
