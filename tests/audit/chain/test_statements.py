"""Chains that seals of others state: none can be removed as a whole, or shortened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_chains import KEYS, Writer, key, verify

from tokenserver.exchange.audit_chain.record import ChainRecord
from tokenserver.exchange.audit_chain.seal_text import StatedChain, seal_of_members
from tokenserver.exchange.audit_chain.sealer import SEAL_SECONDS
from tokenserver.exchange.audit_chain.state import ChainState
from tokenserver.exchange.audit_events import spell_time

SIGNS = key()


class Workers:
    """Two workers of a server, which write into one file, and a clock for both."""

    def __init__(self, path: Path) -> None:
        self.state = ChainState()
        self.path = path
        self.first, self.second = self.new(), self.new()
        for each in (self.first, self.second):
            each.sealer.check()

    def new(self, now: float | None = None) -> Writer:
        """A further worker."""
        writer = Writer(self.path, SIGNS, self.state)
        writer.now = writer.now if now is None else now
        return writer

    def write(self, *writers: Writer) -> None:
        """A line of each, and a minute later a seal of each."""
        for each in writers:
            each.write(3)
        now = max(each.now for each in writers) + SEAL_SECONDS
        for each in writers:
            each.now = now
            each.sealer.check()

    @property
    def lines(self) -> list[bytes]:
        return self.first.lines


def of(lines: list[bytes], writer: Writer) -> list[int]:
    """Where the lines of a worker are."""
    return [at for at, line in enumerate(lines) if f'"chain":"{writer.sink.chain}:'.encode() in line]


def others(line: bytes) -> tuple[StatedChain, ...]:
    """What a seal states."""
    return KEYS.open_seal(seal_of_members(json.loads(line)["seal"])).others


def without(lines: list[bytes], places: list[int]) -> list[bytes]:
    return [line for at, line in enumerate(lines) if at not in places]


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    """Which have sealed twice."""
    workers = Workers(tmp_path / "lines")
    workers.write(workers.first, workers.second)
    workers.write(workers.second, workers.first)
    return workers


@pytest.mark.parametrize("closes", [False, True], ids=["running", "stopped"])
def test_a_chain_that_is_removed_as_a_whole(workers: Workers, *, closes: bool) -> None:
    """Whichever of them it is."""
    if closes:
        workers.first.sealer.close()
        workers.second.sealer.close()
    lines = workers.lines
    assert verify(lines).findings == []
    assert len(verify(lines).chains) == 2
    for removed in (workers.first, workers.second):
        [finding] = verify(without(lines, of(lines, removed))).findings
        assert (finding.kind.value, finding.chain) == ("removed", removed.sink.chain)
        assert "of which nothing is in these files" in finding.message


def test_a_chain_that_is_shortened(workers: Workers) -> None:
    """By more than what was written since the last seal of another one."""
    workers.second.write(2)
    workers.first.now += SEAL_SECONDS
    workers.first.write(1)
    workers.first.sealer.check()
    workers.second.write(3)
    lines = workers.lines
    places = of(lines, workers.second)
    for count in range(len(places)):
        told = [one.kind.value for one in verify(without(lines, places[len(places) - count :])).findings]
        assert told == ([] if count <= 3 else ["removed"]), count


def test_a_worker_that_was_killed(workers: Workers) -> None:
    """Its successor states it in its first seal."""
    workers.second.write(2)
    successor = workers.new(workers.first.now + 100)
    successor.sealer.check()
    lines = workers.lines
    found = verify(lines)
    assert found.findings == []
    assert any("the last 2 lines" in note for note in found.notes)
    [finding] = verify(without(lines, of(lines, workers.second))).findings
    assert finding.chain == workers.second.sink.chain
    left = without(lines, of(lines, workers.first))
    places = of(left, workers.second)
    assert {one.chain for one in verify(left).findings} == {workers.first.sink.chain}
    told = {(one.kind.value, one.chain) for one in verify(without(left, places[-1:])).findings}
    assert ("removed", workers.second.sink.chain) in told


def test_the_highest_number_counts(workers: Workers) -> None:
    """Of what several seals state of a missing chain, whichever order they are read in."""
    third = workers.new(workers.first.now)
    third.sealer.check()
    workers.write(workers.first, workers.second, third)
    workers.second.write(4)
    workers.write(workers.first)
    left = without(workers.lines, of(workers.lines, workers.second))
    for lines in (left, left[::-1]):
        [found] = [one for one in verify(lines).findings if one.chain == workers.second.sink.chain]
        assert f"states number {len(of(workers.lines, workers.second))} of chain" in found.message


def test_older_files_may_be_deleted(workers: Workers) -> None:
    """A chain that wrote nothing since is noted, and no finding."""
    successor = workers.new(workers.first.now + 100)
    successor.sealer.check()
    successor.write(1)
    successor.sealer.close()
    found = verify(successor.lines[len(of(workers.lines, workers.first) + of(workers.lines, workers.second)) :])
    assert found.findings == []
    assert len(found.notes) == 2
    assert all("is not in these files, and may be older than they are" in note for note in found.notes)


def test_a_time_that_was_changed_excuses_nothing(workers: Workers) -> None:
    """What decides whether a missing chain may be older is the time of seals, not that of a first line."""
    lines = workers.lines
    left = without(lines, of(lines, workers.second))[1:]
    assert b"audit_seal" not in left[0]
    left[0] = left[0].replace(b'{"time":"2027', b'{"time":"2029')
    assert ("removed", workers.second.sink.chain) in {(one.kind.value, one.chain) for one in verify(left).findings}


def test_the_order_of_files(workers: Workers) -> None:
    """What one file states, another may have."""
    lines = workers.lines
    for cut in range(1, len(lines)):
        assert verify({"b": lines[cut:], "a": lines[:cut]}).findings == []
        assert verify({"a": lines[:cut], "b": lines[cut:]}).findings == []


def test_what_is_new_alone_is_stated(workers: Workers) -> None:
    """A chain that wrote nothing since is not stated again."""
    assert [one.chain for one in others(workers.lines[0])] == []
    assert [one.chain for one in others(workers.lines[1])] == [workers.first.sink.chain]
    workers.write(workers.first)
    workers.write(workers.first)
    assert others(workers.lines[-1]) == ()
    workers.write(workers.second)
    [stated] = others(workers.lines[-1])
    assert (stated.chain, stated.number) == (workers.first.sink.chain, len(of(workers.lines, workers.first)))
    assert stated.since == json.loads(workers.lines[of(workers.lines, workers.first)[-1]])["time"]


def record_of(server: str, *before: Writer) -> ChainRecord:
    """What the storage says to a new run of a server: these came before."""
    record = ChainRecord(server)
    record.came_before([StatedChain(one.sink.chain, len(of(one.lines, one)), spell_time(one.now)) for one in before])
    return record


class Runs:
    """Three runs of one server, each in a file of its own, and one of another server meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.first = self._run(folder / "1", 0, ChainRecord("a"))
        self.second = self._run(folder / "2", 1, record_of("a", self.first))
        self.third = self._run(folder / "3", 2, record_of("a", self.second))
        self.other = self._run(folder / "4", 1, ChainRecord("b"))
        self.names = {one: name for name, one in vars(self).items()}

    def _run(self, path: Path, hour: int, record: ChainRecord) -> Writer:
        writer = Writer(path, SIGNS, ChainState(), record)
        writer.now += 3600 * hour
        if not record.is_known:
            record.came_before([])
        writer.sealer.check()
        writer.write(3)
        writer.seal()
        writer.sealer.close()
        return writer

    def files(self, *writers: Writer) -> dict[str, list[bytes]]:
        return {self.names[one]: one.lines for one in writers}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_a_run_in_the_middle_that_is_removed(runs: Runs) -> None:
    """The seal of the next run states it, without any storage (docs/design/threats.md#threat-237)."""
    assert verify(runs.files(runs.first, runs.second, runs.third, runs.other)).findings == []
    for left in ((runs.first, runs.third), (runs.third, runs.first, runs.other)):
        [finding] = verify(runs.files(*left)).findings
        assert (finding.kind.value, finding.chain, str(finding.place)) == ("removed", runs.second.sink.chain, "third:1")


def test_the_end_of_a_run_that_is_removed(runs: Runs) -> None:
    """Also its closing seal alone, since the storage knew it."""
    files = {**runs.files(runs.first, runs.third), "second": runs.second.lines[:-1]}
    [finding] = verify(files).findings
    assert (finding.chain, "nothing after number 5 is in these files" in finding.message) == (
        runs.second.sink.chain,
        True,
    )


def test_the_oldest_runs_may_be_deleted(runs: Runs) -> None:
    """A run that ended before all that the files have of its server is noted; another server's files do not matter."""
    for left in ((runs.third,), (runs.third, runs.other)):
        found = verify(runs.files(*left))
        assert found.findings == []
        [note] = found.notes
        assert (
            f"chain {runs.second.sink.chain}, of which a seal states number 6 (third:1), is not in these files" in note
        )
