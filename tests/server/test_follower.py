"""The follower of a worker: new orders are applied once, and failed ones again."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, folder, load

from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.follower import BEHIND, RETRY_SECONDS, ConfigurationFollower, ordered_on
from tokenserver.server.reload.configuration import IN_FORCE

__all__ = ["folder"]


class Worker:
    """Applies settings, unless it fails."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.applied: list[str] = []
        self.failure: Exception | None = None
        self.folder = folder
        self.orders = Bulletin()
        self.order = ordered_on(self.orders)
        number = self.order(self.settings("start"))
        self.follower = ConfigurationFollower(self.orders, number, notice=lambda: IN_FORCE, monotonic=lambda: self.now)

    def settings(self, issuer: str) -> Settings:
        return load(self.folder, MINIMAL.replace("issuer: auth.example.com", f"issuer: {issuer}"))

    def apply(self, settings: Settings) -> None:
        if self.failure is not None:
            raise self.failure
        self.applied.append(settings.issuer)

    def look(self) -> list[str]:
        self.follower.look(self.apply)
        return self.applied


@pytest.fixture
def worker(folder: Path) -> Worker:
    return Worker(folder)


def test_what_it_started_with_is_not_applied(worker: Worker) -> None:
    """Nor an older order than that."""
    assert worker.look() == []


def test_each_order_is_applied_once(worker: Worker) -> None:
    """The newest; one that was replaced before is skipped."""
    worker.order(worker.settings("one"))
    assert (worker.look(), worker.look()) == (["one"], ["one"])
    worker.order(worker.settings("two"))
    worker.order(worker.settings("three"))
    assert worker.look() == ["one", "three"]


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (LoadError([Fault("users", 3, "", "is wrong")]), "users:3: is wrong"),
        (RuntimeError("a canary"), "unexpected RuntimeError"),
    ],
)
def test_a_failed_order(worker: Worker, caplog: pytest.LogCaptureFixture, failure: Exception, line: str) -> None:
    """It is tried again after a while, logged once, and shows until it succeeds."""
    worker.failure = failure
    worker.order(worker.settings("one"))
    assert (worker.look(), worker.follower.notice()) == ([], BEHIND)
    worker.now += RETRY_SECONDS + 1
    assert worker.look() == []
    assert caplog.messages == [f"configuration: this worker keeps the previous one: {line}"]
    worker.failure = None
    assert worker.look() == []  # not yet
    worker.now += RETRY_SECONDS + 1
    assert (worker.look(), worker.follower.notice()) == (["one"], IN_FORCE)
