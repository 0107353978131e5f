"""What is remembered for a while: how long, and how much of it."""

from __future__ import annotations

from tokenserver.exchange.peer.recent_keys import RecentKeys


def test_a_key_is_known_for_its_seconds() -> None:
    """Counted from the last time that it was added."""
    keys = RecentKeys(10.0, size=5)
    assert not keys.has("a", 0.0)
    keys.add("a", 0.0)
    assert (keys.has("a", 9.9), keys.has("a", 10.0), keys.has("b", 1.0)) == (True, False, False)
    keys.add("a", 9.0)
    assert (keys.has("a", 18.9), len(keys)) == (True, 1)


def test_a_key_that_is_discarded() -> None:
    """It is unknown, and discarding it again does nothing."""
    keys = RecentKeys(10.0, size=5)
    keys.add(("a", 1), 0.0)
    keys.discard(("a", 1))
    keys.discard(("a", 1))
    assert (keys.has(("a", 1), 1.0), len(keys)) == (False, 0)


def test_the_memory_is_bounded() -> None:
    """The key that was added first is forgotten first; one that is added again counts as new."""
    keys = RecentKeys(1000.0, size=3)
    for number in range(3):
        keys.add(number, float(number))
    keys.add(0, 3.0)
    keys.add("new", 4.0)
    assert [key for key in (0, 1, 2, "new") if keys.has(key, 5.0)] == [0, 2, "new"]
    for number in range(10_000):
        keys.add(number, 6.0)
    assert len(keys) == 3


def test_no_key_is_kept() -> None:
    """Names of users are not in memory, only hashes."""
    keys = RecentKeys(10.0, size=5)
    keys.add(("ann", "secret-service"), 0.0)
    assert all(isinstance(key, int) for key in keys._added)
