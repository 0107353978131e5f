"""Ids that a worker does not know: one look for all who ask, few looks in all, and none again for a while."""

from __future__ import annotations

import threading

import pytest
from stored_credentials import PLAIN, Clock

from tokenserver.storage.credential import row_of
from tokenserver.storage.following.missing_rows import (
    READS_PER_SECOND,
    REMEMBERED_SECONDS,
    FoundRow,
    MissingRows,
    UsedRow,
)
from tokenserver.storage.unavailable import StorageUnavailable

ROW = UsedRow(row_of(PLAIN, digest=b"", pepper=1)._replace(id="known"), None)


class Table:
    """A database that counts the looks."""

    def __init__(self) -> None:
        self.clock = Clock(100.0)
        self.asked: list[str] = []
        self.rows = {"known": ROW}
        self.is_down = False
        self.missing = MissingRows(self.read, monotonic=self.clock)

    def read(self, identifier: str) -> UsedRow | None:
        self.asked.append(identifier)
        if self.is_down:
            raise StorageUnavailable("down")
        return self.rows.get(identifier)


@pytest.fixture
def table() -> Table:
    """One with the row `known`."""
    return Table()


def test_what_there_is_is_found(table: Table) -> None:
    """Each time by another look, as the index keeps what is found."""
    assert [table.missing.find("known") for _ in range(2)] == [FoundRow(ROW, is_certain=True)] * 2
    assert table.asked == ["known", "known"]


@pytest.mark.parametrize(
    ("seconds", "looks"),
    [pytest.param(REMEMBERED_SECONDS - 0.1, 1, id="before"), pytest.param(REMEMBERED_SECONDS, 2, id="after")],
)
def test_unknown_is_remembered_for_a_while(table: Table, seconds: float, looks: int) -> None:
    """Then it is looked up again."""
    assert table.missing.find("other") == FoundRow(None, is_certain=True)
    table.clock.now += seconds
    assert table.missing.find("other") == FoundRow(None, is_certain=True)
    assert len(table.asked) == looks


def test_what_was_stored_meanwhile_is_looked_up(table: Table) -> None:
    """The index says so."""
    table.missing.find("other")
    table.rows["other"] = ROW
    table.missing.forget("other")
    assert table.missing.find("other").found == ROW


def test_looks_are_bounded(table: Table) -> None:
    """By the second; whatever more is asked is uncertain, until there is time again."""
    found = [table.missing.find(f"id{number}").is_certain for number in range(READS_PER_SECOND + 2)]
    assert found == [True] * READS_PER_SECOND + [False] * 2
    table.clock.now += 0.125
    found = [table.missing.find(f"more{number}").is_certain for number in range(3)]
    assert found == [True, True, False]
    table.clock.now += 1000
    assert sum(table.missing.find(f"later{number}").is_certain for number in range(50)) == READS_PER_SECOND


def test_memory_is_bounded(table: Table) -> None:
    """Of unknown ids, those of the last two seconds stay."""
    for number in range(500):
        table.clock.now += 0.05
        table.missing.find(f"id{number}")
    assert len(table.missing._unknown) <= READS_PER_SECOND * REMEMBERED_SECONDS + 1


def test_a_failed_look_is_not_remembered(table: Table) -> None:
    """It says nothing about the id."""
    table.is_down = True
    with pytest.raises(StorageUnavailable):
        table.missing.find("known")
    table.is_down = False
    assert table.missing.find("known").found == ROW


def test_one_look_for_all_who_ask(table: Table) -> None:
    """They wait for the first one."""
    begun, go_on = threading.Event(), threading.Event()

    def read(identifier: str) -> UsedRow | None:
        table.asked.append(identifier)
        begun.set()
        assert go_on.wait(10)
        return ROW

    missing = MissingRows(read, monotonic=table.clock)
    found: list[FoundRow] = []
    threads = [threading.Thread(target=lambda: found.append(missing.find("known"))) for _ in range(8)]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while missing._flights._free > 16 - 7:
        pass
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert (found, table.asked) == ([FoundRow(ROW, is_certain=True)] * 8, ["known"])
