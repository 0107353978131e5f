"""Last uses: what is noted, what is written, and what is known of other processes."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tokenserver.storage.following import last_uses
from tokenserver.storage.following.last_uses import LastUses, NotedUse

HERE, THERE = ip_address("192.0.2.1"), ip_address("2001:db8::1")


def test_a_batch_has_the_last_and_the_first_place() -> None:
    """And how often it was used; moments are whole seconds."""
    uses = LastUses()
    for now, client in ((10.9, HERE), (11.2, None), (12.7, THERE)):
        uses.touch("a", now, client)
    assert uses.take() == {"a": NotedUse(12, "2001:db8::1", "192.0.2.1", 3)}
    assert uses.last("a") == 12


def test_what_was_not_written_is_taken_again() -> None:
    """With what has come since; once written, it is gone, and still known."""
    uses = LastUses()
    uses.touch("a", 10, HERE)
    first = uses.take()
    uses.touch("a", 20, None)
    second = uses.take()
    assert (first["a"].times, second["a"]) == (1, NotedUse(20, "", "192.0.2.1", 2))
    uses.written(first)  # not what has changed since
    assert uses.take() == second
    uses.written(second)
    assert (uses.take(), uses.last("a")) == ({}, 20)


def test_other_processes_use_it_too() -> None:
    """The latest counts, wherever it was."""
    uses = LastUses()
    assert uses.last("a") is None
    uses.learn({"a": 50, "b": 1})
    uses.touch("a", 40, HERE)
    uses.take()
    assert (uses.last("a"), uses.last("b")) == (50, 1)
    uses.learn({"a": 30})
    assert uses.last("a") == 50


def test_credentials_that_are_gone_are_forgotten() -> None:
    """Those that are left are not."""
    uses = LastUses()
    uses.learn({"a": 1, "b": 2})
    uses.forget_but({"a": None})
    assert (uses.last("a"), uses.last("b")) == (1, None)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is down; those that wait already go on."""
    monkeypatch.setattr(last_uses, "MAX_WAITING", 2)
    uses = LastUses()
    for identifier in ("a", "b", "c"):
        uses.touch(identifier, 1, None)
    assert [*uses.take()] == ["a", "b"]
    for identifier in ("b", "c"):
        uses.touch(identifier, 2, None)
    assert {identifier: use.last for identifier, use in uses.take().items()} == {"a": 1, "b": 2}
