"""Attempts at a database: what fails is reported once, rested from, and never raised."""

from __future__ import annotations

import logging

import pytest

from tokenserver.storage.connections.attempts import Attempts
from tokenserver.storage.unavailable import StorageUnavailable

LOGGER = logging.getLogger("tokenserver.storage")


def refuse() -> None:
    raise StorageUnavailable("is gone")


def crash() -> None:
    raise ZeroDivisionError("a secret")


def test_failures(caplog: pytest.LogCaptureFixture) -> None:
    """The first one in a row has a line, which does not say what an unexpected one says."""
    attempts = Attempts("rows wait", LOGGER, is_first=lambda _: True)
    for work, failing in ((refuse, True), (crash, True), (lambda: None, False), (crash, True), (refuse, True)):
        attempts.run(work)
        assert attempts.is_failing == failing
    assert caplog.messages == ["rows wait: is gone", "rows wait: unexpected ZeroDivisionError"]


def test_a_line_of_another_worker(caplog: pytest.LogCaptureFixture) -> None:
    """It is not written once more."""
    attempts = Attempts("rows wait", LOGGER, is_first=lambda line: line != "rows wait: is gone")
    attempts.run(refuse)
    assert attempts.is_failing
    assert caplog.messages == []


def test_rest() -> None:
    """After a failure only, and for as long as it is said."""
    now = [100.0]
    attempts = Attempts("rows wait", LOGGER, is_first=lambda _: True, rest=10.0, monotonic=lambda: now[0])
    found = []
    for work, moment in ((lambda: None, 100.0), (refuse, 109.9), (lambda: None, 110.0)):
        attempts.run(work)
        now[0] = moment
        found.append(attempts.is_resting)
    assert found == [False, True, False]
