"""Last uses: what is noted, what is written, and what is known of other processes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from types import FrameType
from typing import Any

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


def test_a_use_is_known_at_each_moment() -> None:
    """Also while it is taken to be written, when another thread may ask: at each line of that."""
    uses = LastUses()
    uses.touch("a", 10, HERE)
    seen: list[int | None] = []

    def look(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and frame.f_code is LastUses.take.__code__:
            seen.append(uses.last("a"))
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        uses.take()
    finally:
        sys.settrace(before)
    assert len(seen) > 5
    assert set(seen) == {10}


class _Learning(Mapping[str, object]):
    """Identifiers; meanwhile another thread learns uses of further ones."""

    def __init__(self, uses: LastUses) -> None:
        self.learner = threading.Thread(target=uses.learn, args=({"c": 3, "d": 4},))

    def __contains__(self, identifier: object) -> bool:
        if self.learner.ident is None:
            self.learner.start()
            self.learner.join(0.05)
        return True

    def __getitem__(self, identifier: str) -> object:
        raise AssertionError(identifier)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError

    def __len__(self) -> int:
        raise AssertionError


def test_what_is_learnt_meanwhile_is_kept() -> None:
    """The thread that loads and the thread of the chores do not disturb each other."""
    uses = LastUses()
    uses.learn({"a": 1, "b": 2})
    identifiers = _Learning(uses)
    uses.forget_but(identifiers)
    identifiers.learner.join(10)
    assert [uses.last(one) for one in "abcd"] == [1, 2, 3, 4]
