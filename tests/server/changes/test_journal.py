"""The journal of changes: each version is reported by one process, whatever the others skip and whenever they come."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import AuditUnavailable
from tokenserver.server.changes.journal import ENTRIES, NOWHERE, ChangeJournal

SUBJECT = "policies/"


def state(version: str) -> bytes:
    return version.encode().ljust(32, b".")


class Worker:
    """One process, which reports what it loads."""

    def __init__(self, journal: ChangeJournal, written: list[tuple[str | None, str]]) -> None:
        self._journal = journal
        self._written = written
        self._at = NOWHERE

    def loads(self, version: str, subject: str = SUBJECT) -> None:
        def write(before: bytes | None) -> None:
            self._written.append((None if before is None else before.decode().rstrip("."), version))

        self._at = self._journal.report(subject, state(version), state(version), self._at, write)


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        pytest.param("1A 2A 1B 2B", "-A AB", id="all workers load the same"),
        pytest.param("1A 2A 1B 1A 2B 2A", "-A AB BA", id="one is behind while the other goes back"),
        pytest.param("1A 2A 1B 1A 1B 2B", "-A AB BA AB", id="back and forth"),
        pytest.param("1A 2A 1B 1C 2C", "-A AB BC", id="one skips a version"),
        pytest.param("1A 2A 1B 2C 1C", "-A AB BC", id="the one that skips is first"),
        pytest.param("1A 1B 2B", "-A AB", id="one starts later"),
        pytest.param("1A 1B 1A 2A 2B", "-A AB BA AB", id="one starts with a version that came back"),
        pytest.param("1A 2B", "-A AB", id="one starts with a version that no other has"),
    ],
)
def test_versions_of_two_workers(loads: str, expected: str) -> None:
    """Each change has one report, with the version before."""
    written: list[tuple[str | None, str]] = []
    journal = ChangeJournal(shared=False)
    workers = {"1": Worker(journal, written), "2": Worker(journal, written)}
    for load in loads.split():
        workers[load[0]].loads(load[1])
    assert [f"{before or '-'}{after}" for before, after in written] == expected.split()


@given(
    versions=st.lists(st.sampled_from(["A", "B", "C"]), min_size=1, max_size=12),
    steps=st.lists(st.integers(0, 2), max_size=40),
)
def test_workers_at_any_pace(versions: list[str], steps: list[int]) -> None:
    """Whatever process is first with a version, the reports are the history, once each, and form a chain."""
    history = [one for index, one in enumerate(versions) if index == 0 or versions[index - 1] != one]
    written: list[tuple[str | None, str]] = []
    journal = ChangeJournal(shared=False)
    workers = [Worker(journal, written) for _ in range(3)]
    for worker in workers:
        worker.loads(history[0])
    places = [0, 0, 0]
    for number in (*steps, *(number for number in range(3) for _ in history)):
        if places[number] + 1 < len(history):
            places[number] += 1
            workers[number].loads(history[places[number]])
    assert [after for _, after in written] == history
    assert [before for before, _ in written] == [None, *history[:-1]]
    assert all(one[1] == other[0] for one, other in pairwise(written))


def test_subjects_are_apart() -> None:
    """The same state of another subject is another version."""
    written: list[tuple[str | None, str]] = []
    journal = ChangeJournal(shared=False)
    assert not journal.has(SUBJECT)
    Worker(journal, written).loads("A")
    Worker(journal, written).loads("A", "shadow_policies/")
    assert written == [(None, "A"), (None, "A")]
    assert journal.has(SUBJECT)


def test_a_report_that_fails() -> None:
    """What could not be written was not reported: the next process reports it."""
    journal = ChangeJournal(shared=False)

    def fail(_: bytes | None) -> None:
        raise AuditUnavailable("full")

    with pytest.raises(AuditUnavailable):
        journal.report(SUBJECT, state("A"), None, NOWHERE, fail)
    assert not journal.is_known(SUBJECT, state("A"), NOWHERE)
    written: list[tuple[str | None, str]] = []
    Worker(journal, written).loads("A")
    assert written == [(None, "A")]


def test_it_forgets_the_oldest() -> None:
    """More versions than it keeps: the newest are known, and what is forgotten is reported again."""
    written: list[tuple[str | None, str]] = []
    journal = ChangeJournal(shared=False)
    worker = Worker(journal, written)
    for number in range(ENTRIES + 10):
        worker.loads(str(number))
    assert len(written) == ENTRIES + 10
    assert journal.is_known(SUBJECT, state("10"), NOWHERE)
    assert not journal.is_known(SUBJECT, state("9"), NOWHERE)


def test_a_process_that_dies_while_it_reports() -> None:
    """Another process gets the lock, and reports the change."""
    journal = ChangeJournal(shared=True)
    child = os.fork()
    if child == 0:
        journal.report(SUBJECT, state("A"), None, NOWHERE, lambda _: os._exit(0))
    os.waitpid(child, 0)
    written: list[tuple[str | None, str]] = []
    Worker(journal, written).loads("A")
    assert written == [(None, "A")]


def test_processes_share_it() -> None:
    """What a forked process has reported is known here."""
    journal = ChangeJournal(shared=True)
    child = os.fork()
    if child == 0:
        journal.report(SUBJECT, state("A"), None, NOWHERE, lambda _: None)
        os._exit(0)
    os.waitpid(child, 0)
    assert journal.is_known(SUBJECT, state("A"), NOWHERE)
