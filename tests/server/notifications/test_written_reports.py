"""Reports that are in the trail already: over forked processes, exactly for the last ones, and never lost.

See docs/design/threats.md#threat-228.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import deque

import pytest
from forked_processes import Forked
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.runtime.shared_memory import SharedMemory
from tokenserver.server.notifications import written_reports
from tokenserver.server.notifications.written_reports import WrittenReports


def write(reports: WrittenReports, identifier: str, service: str = "reg") -> bool:
    """Write it unless it is written; what is said agrees with what is done."""
    written: list[str] = []
    said = reports.write_once(service, identifier, lambda: written.append(identifier))
    assert said is bool(written)
    return said


def test_forked_processes_share_it() -> None:
    """A report that one of them has written is written by none again, whichever gets it."""
    reports = WrittenReports(shared=True)
    assert write(reports, "a")
    child = Forked(lambda: [write(reports, one) for one in "abb"])
    assert child.ended() == (0, "[False, True, False]")
    assert [write(reports, one) for one in "abc"] == [False, False, True]
    assert Forked(lambda: [write(reports, one) for one in "abcd"]).ended() == (0, "[False, False, False, True]")


def test_processes_at_the_same_time() -> None:
    """Each of many reports is written by exactly one of those that get it."""
    reports = WrittenReports(shared=True)
    children = [Forked(lambda: sum(write(reports, f"{number}") for number in range(300))) for _ in range(4)]
    ended = [child.ended() for child in children]
    assert [code for code, _ in ended] == [0] * 4
    assert sum(int(text) for _, text in ended) == 300


def test_threads_at_the_same_time() -> None:
    """A report that is being written is waited for."""
    reports = WrittenReports(shared=False)
    begun, go_on, second = threading.Event(), threading.Event(), threading.Event()
    said: list[bool] = []

    def slow() -> None:
        begun.set()
        assert go_on.wait(10)

    def again() -> None:
        second.set()
        said.append(write(reports, "a"))

    first = threading.Thread(target=lambda: reports.write_once("reg", "a", slow))
    other = threading.Thread(target=again)
    first.start()
    assert begun.wait(10)
    other.start()
    assert second.wait(10)
    assert said == []
    go_on.set()
    first.join()
    other.join()
    assert said == [False]


def test_the_reports_of_another_registry_are_others() -> None:
    """Whatever their names and ids are."""
    reports = WrittenReports(shared=False)
    assert [write(reports, *one) for one in (("b", "a"), ("b", "c"), ("", "ab"), ("ab", ""))] == [True] * 4
    assert [write(reports, *one) for one in (("b", "a"), ("b", "c"), ("", "ab"), ("ab", ""))] == [False] * 4
    assert write(reports, "\ud800")


def test_what_was_not_written_is_written_again() -> None:
    """A full disk: the registry sends it again."""
    reports = WrittenReports(shared=True)

    def full() -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        reports.write_once("reg", "a", full)
    assert [write(reports, "a"), write(reports, "a")] == [True, False]


def test_a_process_that_is_killed_while_it_writes() -> None:
    """The line may be there or not, so the report is written again, and nobody waits for the dead."""
    reports = WrittenReports(shared=True)
    assert write(reports, "before")
    code, _ = Forked(lambda: reports.write_once("reg", "a", lambda: os.kill(os.getpid(), signal.SIGKILL))).ended()
    assert code == -signal.SIGKILL
    assert [write(reports, one) for one in ("before", "a", "a")] == [False, True, False]


def test_a_process_that_is_killed_before_it_has_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has left in the memory is overwritten by the next report."""
    reports = WrittenReports(shared=True)

    def run() -> None:
        monkeypatch.setattr(reports, "_note", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        write(reports, "a")

    assert Forked(run).ended()[0] == -signal.SIGKILL
    assert [write(reports, one) for one in "baba"] == [True, True, False, False]


def test_without_the_lock_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather twice than never; afterwards, what was known before is known."""
    reports = WrittenReports(shared=True)
    assert write(reports, "a")

    def locked(*_: object) -> None:
        raise BlockingIOError

    with monkeypatch.context() as patch:
        patch.setattr("tokenserver.runtime.shared_memory.fcntl.lockf", locked)
        patch.setattr("tokenserver.runtime.shared_memory.LOCK_SECONDS", 0.01)
        patch.setattr("tokenserver.runtime.shared_memory.STUCK_SECONDS", 0.01)
        assert [write(reports, "a"), write(reports, "b")] == [True, True]
    assert [write(reports, "a"), write(reports, "b"), write(reports, "b")] == [False, True, False]


def test_no_memory_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is for the caller."""

    def full(self: SharedMemory, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(SharedMemory, "__init__", full)
    with pytest.raises(OSError, match="full"):
        WrittenReports(shared=True)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=80))
def test_exactly_the_last_ones(sent: list[tuple[int, int]]) -> None:
    """Whichever process gets a report, the last ones that were written are known, and no others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(written_reports, "REMEMBERED", 5)
        processes = [WrittenReports(shared=False) for _ in range(3)]
        for one in processes[1:]:  # as if they had been forked from the first
            one._memory, one._secret = processes[0]._memory, processes[0]._secret
        last: deque[int] = deque(maxlen=5)
        for process, number in sent:
            assert write(processes[process], str(number)) is (number not in last)
            if number not in last:
                last.append(number)
