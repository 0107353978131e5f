"""What workers know together about a peer: over forked processes, for how long, and without the lock."""

from __future__ import annotations

import pytest
from forked_processes import Forked

from tokenserver.exchange.peer.shared_keys import ENTRIES, SharedKeys


def test_forked_processes_share_it() -> None:
    """What one of them adds, the others have."""
    keys = SharedKeys()
    assert keys.add("a", 1000.0, 60.0)
    child = Forked(lambda: (keys.has("a", 1001.0, 60.0), keys.add("a", 1001.0, 60.0), keys.add("b", 1001.0, 60.0)))
    assert child.ended() == (0, "(True, False, True)")
    assert (keys.has("b", 1002.0, 60.0), keys.add("b", 1002.0, 60.0)) == (True, False)


def test_a_key_is_known_for_a_while() -> None:
    """Counted from the time that it was added."""
    keys = SharedKeys()
    assert keys.add("a", 1000.0)
    assert [keys.has("a", now, 60.0) for now in (1000.0, 1059.9, 1060.0)] == [True, True, False]
    assert keys.add("a", 1060.0, 60.0)
    assert not keys.add("a", 1100.0, 60.0)


def test_a_key_that_is_discarded() -> None:
    """It is new again; one that is not known may be discarded, too."""
    keys = SharedKeys()
    keys.add("a", 1000.0)
    keys.discard("a")
    keys.discard("b")
    assert [keys.has(key, 1000.0, 60.0) for key in "ab"] == [False, False]
    assert keys.add("a", 1000.0, 60.0)


def test_many_keys() -> None:
    """The memory stays as it is, and new keys are known."""
    keys = SharedKeys()
    for number in range(ENTRIES // 8):
        keys.add(f"{number}", 1000.0 + number)
    assert sum(keys.has(f"{number}", 1000.0 + number, 1e6) for number in range(ENTRIES // 8)) > ENTRIES // 8 * 0.99


def test_a_text_that_is_no_unicode() -> None:
    """A name may be anything."""
    assert SharedKeys().add("\ud800", 1000.0, 60.0)


def test_without_the_lock_every_key_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question may be asked twice; none is lost."""
    keys = SharedKeys()
    keys.add("a", 1000.0)

    def locked(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr("tokenserver.runtime.shared_memory.fcntl.lockf", locked)
    monkeypatch.setattr("tokenserver.runtime.shared_memory.LOCK_SECONDS", 0.01)
    monkeypatch.setattr("tokenserver.runtime.shared_memory.STUCK_SECONDS", 0.01)
    assert (keys.has("a", 1000.0, 60.0), keys.add("a", 1000.0, 60.0)) == (False, True)
