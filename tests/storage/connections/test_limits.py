"""Limits of time: a deadline for a context, else one for each wait."""

from __future__ import annotations

import threading

import pytest

from tokenserver.storage.connections.limits import SECONDS, ending_within, seconds_left


def test_without_a_deadline_each_wait_has_its_own() -> None:
    """The same for all."""
    assert seconds_left() == SECONDS


def test_a_deadline_comes_closer() -> None:
    """It ends with its context, and is above no usual limit."""
    with ending_within(0.5):
        assert 0 < seconds_left() <= 0.5
    with ending_within(-1):
        assert seconds_left() == pytest.approx(-1, abs=0.2)
    with ending_within(60):
        assert seconds_left() == SECONDS
    assert seconds_left() == SECONDS


def test_it_is_that_of_one_thread() -> None:
    """Others have theirs."""
    found: list[float] = []
    with ending_within(0.1):
        thread = threading.Thread(target=lambda: found.append(seconds_left()))
        thread.start()
        thread.join()
    assert found == [SECONDS]
