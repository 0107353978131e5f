"""Log lines that all workers would write: once for each time that it happens, and never lost."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tokenserver.server.log_lines import WINDOW_SECONDS, FirstInServer


class Workers:
    """Processes that share the memory, as after a fork: each counts for itself."""

    def __init__(self, number: int = 2) -> None:
        self.now = 1000.0
        shared = FirstInServer(monotonic=lambda: self.now)
        self.each = [copy.copy(shared) for _ in range(number)]
        for one in self.each:
            one._times = copy.copy(shared._times)


def test_the_first_worker_writes() -> None:
    """The others do not, whichever is first."""
    workers = Workers(3)
    assert [one("a is live") for one in workers.each] == [True, False, False]
    assert [one("b is live") for one in reversed(workers.each)] == [True, False, False]


def test_what_happens_twice_is_written_twice() -> None:
    """There and back and there again, within a moment."""
    one, other = Workers().each
    assert [(one(line), other(line)) for line in ("a", "b", "a", "b")] == [(True, False)] * 4


@pytest.mark.parametrize(("later", "again"), [(WINDOW_SECONDS - 1, False), (WINDOW_SECONDS + 1, True)])
def test_much_later_is_another_time(later: float, again: bool) -> None:
    """A replacement that starts to count anew writes what it does for the first time."""
    workers = Workers()
    assert workers.each[0]("a")
    workers.now += later
    assert workers.each[1]("a") is again


def test_many_lines_take_no_more_memory() -> None:
    """Each of them is written; if in doubt, again."""
    first = FirstInServer(monotonic=lambda: 1000.0)
    assert all(first(str(number)) for number in range(3000))
    assert len(first._times) <= 1000


def test_without_the_lock_a_line_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """By every worker; it is not lost."""
    one, other = Workers().each
    monkeypatch.setattr("tokenserver.runtime.shared_memory.fcntl.lockf", _locked)
    assert (one("a"), other("a")) == (True, True)


def _locked(*_: object) -> None:
    raise BlockingIOError


def test_threads_of_one_worker_count_together() -> None:
    """Users, keys and policies are watched by a thread each; of the same line each is another time."""
    line, barrier = FirstInServer(monotonic=lambda: 1000.0), threading.Barrier(4)

    def write() -> list[bool]:
        barrier.wait(30)
        return [line("a") for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        found = [one for future in [pool.submit(write) for _ in range(4)] for one in future.result()]
    assert found == [True] * 200
