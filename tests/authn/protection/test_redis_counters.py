"""The counters that replicas share, against a storage in memory; `e2e/test_real_redis.py` has the real one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from harness.processes import free_port
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from tokenserver.authn.protection import redis_connections, redis_counters
from tokenserver.authn.protection.failure_counters import Limit, Limits, growing
from tokenserver.authn.protection.redis_counters import NOTE, SharedFailures
from tokenserver.authn.protection.throttle import Counted
from tokenserver.credentials import Secret

X, Y = "192.0.2.1", "198.51.100.7"
LIMITS = Limits(growing(5, 300), (Limit(20, 300),), (Limit(100, 300),))


def counters(url: str = "redis://localhost", *, key: bytes = b"a key of all replicas", **more: Any) -> SharedFailures:
    """The counters of one replica."""
    values: dict[str, Any] = {"repeat": 10.0, "workers": 1, "monotonic": time.monotonic} | more
    return SharedFailures(url, Secret("a password"), LIMITS, key=key, **values)


def using(storage: MemoryStorage, **more: Any) -> SharedFailures:
    """The counters of one replica, in this storage, which takes no time: not even on a busy machine is it slow."""
    made = counters(**{"monotonic": lambda: 0.0, **more})
    made._moving, made._fixed = MovingWindowRateLimiter(storage), FixedWindowRateLimiter(storage)
    return made


@pytest.fixture
def storage() -> MemoryStorage:
    """A storage that stands in for Redis."""
    return MemoryStorage()


def login(number: int = 0, place: str = X, user: int = 1, address: int = 1) -> Counted:
    """One login of ann."""
    return Counted("ann", place, user, 7, address, str(number).encode())


def test_replicas_count_together(storage: MemoryStorage) -> None:
    """Failures at any replica are everybody's; the user waits for the rest of the window."""
    one, two = using(storage), using(storage)
    for number in range(5):
        standing = two.standing(login(number))
        assert standing is not None
        assert (standing.left, standing.wait(0)) == (5 - number, 0)
        (one if number % 2 else two).failed(login(number), is_good=False)
    standing = one.standing(login(5))
    assert standing is not None
    assert standing.left == 0
    assert 290 < standing.wait(0) <= 300


def test_the_same_login_counts_once(storage: MemoryStorage) -> None:
    """At whatever replica; another password, or a replica with another key, counts again."""
    one, two, other = using(storage), using(storage), using(storage, key=b"quite another key")
    assert not two.was_refused(login())
    for replica in (one, two, one):
        replica.failed(login(), is_good=False)
    assert two.was_refused(login())
    assert not two.was_refused(login(1))
    assert not other.was_refused(login())
    other.failed(login(), is_good=False)
    standing = one.standing(login(2))
    assert standing is not None
    assert standing.left == 3


@pytest.mark.parametrize(
    ("place", "others_wait"),
    [pytest.param(X, True, id="an address"), pytest.param("", False, id="an unknown address")],
)
def test_addresses(place: str, others_wait: bool, storage: MemoryStorage) -> None:
    """Many users from one address make it wait; an unknown address is no address."""
    one = using(storage)
    for number in range(20):
        one.failed(login(number, place, user=number), is_good=False)
    standing = one.standing(login(99, place, user=99))
    assert standing is not None
    assert (standing.left, standing.others_wait > 0) == (5, others_wait)
    elsewhere = one.standing(login(99, Y, user=99, address=2))
    assert elsewhere is not None
    assert elsewhere.wait(0) == 0


def test_the_total(storage: MemoryStorage) -> None:
    """Everybody waits for it, except a user at a place where that user is known."""
    one = using(storage)
    one.succeeded(login(0, Y))
    for number in range(100):
        one.failed(login(number, "", user=number % 50 + 100), is_good=False)
    strange, known = one.standing(login(200, X)), one.standing(login(200, Y))
    assert strange is not None
    assert known is not None
    assert (strange.others_wait > 0, strange.is_good) == (True, False)
    assert (known.wait(0), known.is_good) == (0, True)


def test_a_known_place_counts_by_itself(storage: MemoryStorage) -> None:
    """Failures elsewhere do not count there, and failures there count there."""
    one = using(storage)
    one.succeeded(login(0, Y))
    one.succeeded(login(0, ""))
    for number in range(5):
        one.failed(login(number, X), is_good=False)
    known = one.standing(login(5, Y))
    assert known is not None
    assert (known.left, known.is_good) == (5, True)
    for number in range(10, 15):
        one.failed(login(number, Y), is_good=True)
    known = one.standing(login(15, Y))
    assert known is not None
    assert (known.left, known.is_good) == (0, True)
    nowhere = one.standing(login(5, ""))
    assert nowhere is not None
    assert not nowhere.is_good


def test_names_are_not_in_redis(storage: MemoryStorage) -> None:
    """Neither names nor addresses nor what recognises a password can be read from the keys."""
    one = using(storage)
    one.succeeded(login(0, Y))
    one.failed(Counted("ann", X, 1, 7, 1, b"tag-of-this-login"), is_good=True)
    keys = str([*storage.storage, *storage.events])
    assert "LIMITER" in keys
    for text in ("ann", X, Y, "tag-of", "a key of"):
        assert text not in keys


@pytest.fixture
def is_probed(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set it to let the thread that probes a Redis that is down have its next look. At the end, it is awaited: what it
    logs is not for the next test.
    """
    event = threading.Event()

    class Clock:
        time = staticmethod(time.time)

        @staticmethod
        def sleep(_: float) -> None:
            event.wait()

    monkeypatch.setattr(redis_counters, "time", Clock)
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "throttle-redis":
            thread.join(10)
            assert not thread.is_alive()


def test_no_login_waits_for_a_redis_that_is_down(
    is_probed: threading.Event,
    storage: MemoryStorage,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is raised, one line is logged without the password, and it is used again when a probe succeeds."""
    # On a busy machine as well it is refused, and not too slow.
    monkeypatch.setattr(redis_connections, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(redis_counters, "SLOW_SECONDS", 60.0)
    one = counters(f"redis://127.0.0.1:{free_port()}")
    assert [one.note] == [None]
    for _ in range(2):
        assert one.standing(login()) is None
        assert not one.was_refused(login())
        assert one.note == NOTE
        one.failed(login(), is_good=False)
        one.succeeded(login())
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("throttle: redis does not answer (ConnectionError: ")
    assert "a password" not in caplog.text
    one._moving, one._fixed = MovingWindowRateLimiter(storage), FixedWindowRateLimiter(storage)
    (probe,) = (thread for thread in threading.enumerate() if thread.name == "throttle-redis")
    is_probed.set()
    probe.join(10)
    assert (one.note, caplog.messages[1:]) == (
        None,
        ["throttle: redis answers again; all replicas count failed logins together"],
    )
    assert one.standing(login()) is not None


def test_a_slow_redis_is_treated_as_down(is_probed: threading.Event, storage: MemoryStorage) -> None:
    """Its answer counts, and the next login does not wait for it."""
    moments = iter([0.0, 0.26])
    one = using(storage, monotonic=lambda: next(moments, 1.0))
    assert (one.standing(login()) is not None, one.note) == (True, NOTE)
    assert one.standing(login()) is None
    one._is_down = False
    is_probed.set()


def test_what_a_hostile_redis_says_is_logged_in_one_line(
    is_probed: threading.Event, storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    """Without control characters, and not all of it."""
    one = using(storage)

    class Hostile:
        def test(self, *_: object) -> bool:
            raise RuntimeError("\x1b[2J\n" + "x" * 1000)

    one._fixed = Hostile()  # type: ignore[assignment]  # a fake
    assert not one.was_refused(login())
    (line,) = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert "RuntimeError: ?[2J?xxx" in line
    assert len(line) < 320
    one._is_down = False
    is_probed.set()
