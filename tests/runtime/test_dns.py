"""DNS resolution: cached for a minute, once per name at a time, bounded in time, and stale rather than nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tokenserver.runtime import dns
from tokenserver.runtime.dns import FRESH_SECONDS, Resolver

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 636))]


class System:
    """The system's resolver and clock, which do what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.does: Callable[[], list[Any]] = lambda: FOUND
        self.now = 1000.0
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(dns.time, "monotonic", lambda: self.now)  # type: ignore[attr-defined]  # the module's clock

    def _getaddrinfo(self, *place: Any, type: int) -> list[Any]:  # noqa: A002 - the name of the argument
        self.calls.append((*place, type))
        return self.does()


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """One that finds every name."""
    return System(monkeypatch)


def test_cached_for_a_minute(system: System) -> None:
    """By host and port; then asked again."""
    resolve = Resolver()
    assert [resolve("a", 636, 1), resolve("a", 636, 1), resolve("a", 389, 1)] == [FOUND] * 3
    assert [call[:2] for call in system.calls] == [("a", 636), ("a", 389)]
    system.now += FRESH_SECONDS
    resolve("a", 636, 1)
    assert len(system.calls) == 3


def fail(error: Exception) -> Callable[[], list[Any]]:
    def run() -> list[Any]:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(socket.gaierror(-2, "Name or service not known"), "Name or service", id="unknown"),
        pytest.param(UnicodeError("label too long"), "not a host name", id="no-name"),
    ],
)
def test_failures(system: System, error: Exception, told: str) -> None:
    """An `OSError`, which is not cached."""
    resolve = Resolver()
    system.does = fail(error)
    with pytest.raises(OSError, match=told):
        resolve("a", 1, 1)
    system.does = lambda: FOUND
    assert resolve("a", 1, 1) == FOUND


def test_stale_rather_than_nothing(system: System) -> None:
    """While the name cannot be resolved, the last addresses are used."""
    resolve = Resolver()
    resolve("a", 1, 1)
    system.now += 10 * FRESH_SECONDS
    system.does = fail(socket.gaierror(-3, "Temporary failure"))
    assert resolve("a", 1, 1) == FOUND


def test_a_slow_server_delays_only_so_long(system: System) -> None:
    """With an error, or the last addresses; concurrent callers wait for one answer, which is used once it comes."""
    go = threading.Event()
    resolve = Resolver()

    def slowly() -> list[Any]:
        go.wait(10)
        return FOUND

    system.does = slowly
    for _ in range(2):
        with pytest.raises(TimeoutError, match="not resolved in time"):
            resolve("a", 1, 0.01)
    assert len(system.calls) == 1
    go.set()
    assert resolve("a", 1, 5) == FOUND
    assert len(system.calls) == 1
    go.clear()
    system.now += FRESH_SECONDS
    assert resolve("a", 1, 0.01) == FOUND
    go.set()
