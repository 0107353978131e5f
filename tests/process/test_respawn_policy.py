"""When a worker is replaced, and when the server gives up."""

from __future__ import annotations

import math

import pytest

from tokenserver.process.respawn_policy import (
    FIRST_PAUSE,
    HANG_SECONDS,
    HOPELESS,
    LONGEST_PAUSE,
    YOUNG_SECONDS,
    RespawnPolicy,
    hanging,
)


def test_one_that_served_is_replaced_at_once() -> None:
    """However often it happens: whoever is killed every few seconds is back every time.

    See docs/design/threats.md#fault-23.
    """
    policy = RespawnPolicy()
    for moment in range(0, 600, 5):
        policy.ended(0, 5.0, moment)
        assert not policy.is_hopeless({})
        assert policy.due(moment) == [0]
        assert policy.due(moment) == []


def test_one_that_does_not_start_is_tried_again_and_again_more_slowly() -> None:
    """No busy loop: the pause doubles up to a bound, and starts anew once it has served."""
    policy = RespawnPolicy()
    pauses = []
    for _ in range(8):
        policy.ended(0, 0.1, 0.0)
        pauses.append(next(pause / 2 for pause in range(100) if policy.due(pause / 2)))
    assert pauses == [FIRST_PAUSE, 1.0, 2.0, 4.0, 8.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    policy.ended(0, YOUNG_SECONDS, 0.0)
    assert policy.due(0.0) == [0]


def test_it_is_hopeless_where_nobody_starts() -> None:
    """All workers failed so often, and none serves (docs/design/threats.md#fault-25)."""
    policy = RespawnPolicy()
    for number in range(HOPELESS):
        assert not policy.is_hopeless({})
        policy.due(1000.0 * number)
        for worker in (0, 1):
            policy.ended(worker, 0.2, 0.0)
    assert policy.is_hopeless({})


@pytest.mark.parametrize(("ages", "hopeless"), [({1: YOUNG_SECONDS}, False), ({1: 0.5}, True), ({}, True)])
def test_while_another_one_serves_there_is_hope(ages: dict[int, float], hopeless: bool) -> None:
    """Files that went bad after the start stop no worker that has read them before."""
    policy = RespawnPolicy()
    for _ in range(HOPELESS):
        policy.ended(0, 0.2, 0.0)
    assert policy.is_hopeless(ages) is hopeless


def test_a_worker_that_serves_is_hope_at_any_age() -> None:
    """One that has given a sign is handed in with an infinite age: it serves, whatever becomes of the others."""
    policy = RespawnPolicy()
    for _ in range(HOPELESS):
        policy.ended(0, 0.2, 0.0)
    assert not policy.is_hopeless({1: math.inf})


def test_a_worker_may_start_until_it_has_failed_too_often() -> None:
    """One that loads is waited for, unless its own starts have come to nothing; once it has served, all is forgiven."""
    policy = RespawnPolicy()
    found = []
    for _ in range(HOPELESS):
        found.append(policy.may_start(1))
        policy.ended(1, 0.2, 0.0)
    assert found == [True] * HOPELESS
    assert not policy.may_start(1)
    policy.ended(1, YOUNG_SECONDS, 0.0)
    assert policy.may_start(1)


def test_who_is_silent_for_too_long_hangs() -> None:
    """One that starts has given no sign yet (docs/design/threats.md#fault-24)."""
    now = 1000.0
    assert hanging({0: now - 1, 1: now - HANG_SECONDS - 1, 2: 0.0}, now) == [1]
