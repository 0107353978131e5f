"""What a storage knows of chains, against files: what is missing is named, and what may be missing is noted."""

from __future__ import annotations

import pytest

from tokenserver.audit.chain.findings import ChainFinding
from tokenserver.audit.chain.recorded import FoundChain, RecordedChain, compare_recorded, servers_of


def at(hour: int) -> str:
    return f"2027-01-31T{hour:02}:00:00.000Z"


def chain(
    name: str, begins: int, ends: int, *, server: str = "a", number: int = 10, closed: bool = True
) -> RecordedChain:
    return RecordedChain(server, name, at(begins), number, at(ends), closed)


ONE, TWO, THREE = chain("one", 1, 2), chain("two", 3, 4), chain("three", 5, 6)
RUNS = (ONE, TWO, THREE)
ELSEWHERE = chain("far", 3, 4, server="b")


def have(*chains: RecordedChain, last: int = 10) -> dict[str, FoundChain]:
    """What files have that have all of these."""
    return {one.chain: FoundChain(last, one.began) for one in chains}


def compared(
    recorded: tuple[RecordedChain, ...], found: dict[str, FoundChain], *, since: str = "", until: str = ""
) -> tuple[list[ChainFinding], list[str]]:
    findings: list[ChainFinding] = []
    notes: list[str] = []
    compare_recorded(recorded, found, findings.append, notes.append, since=since, until=until)
    return findings, notes


@pytest.mark.parametrize("closed", [False, True])
def test_all_is_there(*, closed: bool) -> None:
    """Files may have more than the storage knows, which is behind by a moment."""
    runs = (*RUNS[:2], chain("three", 5, 6, closed=closed))
    for last in (10, 11):
        assert compared(runs, have(*runs, last=last)) == ([], [])


@pytest.mark.parametrize("gone", [TWO, THREE], ids=["in the middle", "the last"])
def test_a_run_that_is_removed(gone: RecordedChain) -> None:
    """In the middle, or at the end: the message has when and where it ran (docs/design/threats.md#threat-237)."""
    [finding], notes = compared(RUNS, have(*(one for one in RUNS if one is not gone)))
    assert (finding.kind.value, str(finding.place), finding.chain, notes) == ("removed", "storage", gone.chain, [])
    assert f"number 10 of chain {gone.chain} of a, begun {gone.began} and sealed {gone.sealed}" in finding.message
    assert "of which nothing is in these files" in finding.message
    assert "lost power" in finding.message


def test_an_end_that_is_cut_off() -> None:
    """Up to the last seal that the storage knows."""
    [finding], _ = compared(RUNS, {**have(ONE, TWO), "three": FoundChain(9, at(5))})
    assert finding.chain == "three"
    assert "of which nothing after number 9 is in these files" in finding.message


def test_older_files_may_be_deleted() -> None:
    """What ended before the first seal that the files have of this server is noted, in one line."""
    findings, [note] = compared(RUNS, have(THREE))
    assert findings == []
    assert note.startswith("2 chains that the storage knows (a, last sealed 2027-01-31T04:00:00.000Z) ended before")


def test_with_since_they_may_not() -> None:
    """From then on, everything has to be there; also of servers that the files have nothing of."""
    assert [one.chain for one in compared(RUNS, have(THREE), since=at(3))[0]] == ["two"]
    assert [one.chain for one in compared(RUNS, have(THREE), since=at(0))[0]] == ["one", "two"]
    assert [one.chain for one in compared((*RUNS, ELSEWHERE), have(*RUNS), since=at(3))[0]] == ["far"]


def test_a_server_that_the_files_have_nothing_of() -> None:
    """Its lines of this time are missing; those of before may be older than the files."""
    assert [one.chain for one in compared((*RUNS, ELSEWHERE), have(*RUNS))[0]] == ["far"]
    older = chain("far", 0, 0, server="b")
    findings, [note] = compared((*RUNS, older), have(*RUNS))
    assert (findings, "1 chain that the storage knows (b," in note) == ([], True)


def test_a_replica_that_is_gone_for_good() -> None:
    """Its lines are there, and nothing is missed that it did not write."""
    assert compared((*RUNS, ELSEWHERE), have(*RUNS, ELSEWHERE)) == ([], [])
    [first, second] = servers_of((*RUNS, chain("far", 3, 4, server="b", closed=False)))
    assert (first.server, first.chains, first.began, first.last_seen, first.is_ended) == ("a", 3, at(1), at(6), True)
    assert (second.server, second.chains, second.last_seen, second.is_ended) == ("b", 1, at(4), False)


def test_before_until() -> None:
    """What began later is no finding, and of what went on later nothing can be said but that it was there."""
    assert compared(RUNS, have(ONE, TWO), until=at(5)) == ([], [compared(RUNS, have(ONE, TWO), until=at(5))[1][0]])
    [note] = compared(RUNS, have(ONE, TWO), until=at(5))[1]
    assert "1 chain that the storage knows (a, last sealed 2027-01-31T06:00:00.000Z) went on after" in note
    assert compared(RUNS, {**have(ONE, TWO), "three": FoundChain(3, at(5))}, until=at(6)) == ([], [])
    assert [one.chain for one in compared(RUNS, have(ONE, TWO), until=at(6))[0]] == ["three"]


def test_nothing_is_there() -> None:
    """Files without any seal tell nothing about their time; what has to be there is up to the options."""
    findings, [note] = compared(RUNS, {})
    assert (findings, "3 chains" in note) == ([], True)
    assert compared((), have(ONE)) == ([], [])
    findings, [note] = compared(RUNS, {"other": FoundChain(5, "")})
    assert (findings, "3 chains" in note) == ([], True)
    assert len(compared(RUNS, {}, since=at(0))[0]) == 3


def test_chains_that_the_storage_does_not_know() -> None:
    """It was restored from an old backup, or out of reach: their times count, and there is nothing to compare."""
    found = {**have(TWO, THREE), "unknown": FoundChain(5, at(0))}
    assert compared((TWO, THREE), found) == ([], [])
    findings, notes = compared((ONE, TWO, THREE), found)
    assert (findings, len(notes)) == ([], 1)
