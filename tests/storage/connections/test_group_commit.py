"""Group commit: changes share transactions, and one that fails undoes nothing of the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select, text
from stored_credentials import new_database, sqlite

from tokenserver.storage.connections import group_commit
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.connections.group_commit import GroupCommit
from tokenserver.storage.tables import jwks

Work = Callable[[Connection, int], int]


class Counted:
    """Revisions that count the transactions."""

    def __init__(self) -> None:
        self.transactions = 0

    def __call__(self, _connection: Connection) -> int:
        self.transactions += 1
        return self.transactions


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database with its tables."""
    return new_database(tmp_path).engine


@pytest.fixture
def revisions() -> Counted:
    """What the writer asks for at the beginning of each transaction."""
    return Counted()


@pytest.fixture
def writer(engine: Engine, revisions: Counted) -> Iterator[GroupCommit]:
    """A writer that waits two seconds."""
    found = GroupCommit(engine, revisions, seconds=2)
    yield found
    found.close()


def add(issuer: str, error: Exception | None = None) -> Work:
    """A change that adds a row, and then raises the error."""

    def work(connection: Connection, rev: int) -> int:
        connection.execute(insert(jwks).values(issuer=issuer, document="{}", fetched=rev))
        if error is not None:
            raise error
        return rev

    return work


def issuers(engine: Engine) -> set[str]:
    """What was added."""
    with engine.connect() as connection:
        return set(connection.execute(select(jwks.c.issuer)).scalars())


class Held:
    """A change that keeps the writer busy until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    def __call__(self, _connection: Connection, rev: int) -> int:
        self.begun.set()
        assert self.released.wait(10)
        return rev


def behind(writer: GroupCommit, works: list[Work]) -> list[object]:
    """The results or errors of changes that all wait while another one is made."""
    held = Held()
    with ThreadPoolExecutor(len(works) + 1) as pool:
        first = pool.submit(writer.run, held)
        assert held.begun.wait(5)
        rest = [pool.submit(writer.run, work) for work in works]
        end = time.monotonic() + 5
        while len(writer._waiting) < len(works):
            assert time.monotonic() < end
            time.sleep(0.001)
        held.released.set()
        first.result()
        return [one.exception() or one.result() for one in rest]


def test_changes_that_wait_share_a_transaction(engine: Engine, writer: GroupCommit, revisions: Counted) -> None:
    """And a revision: a commit waits for the disk."""
    assert behind(writer, [add(str(number)) for number in range(8)]) == [2] * 8
    assert revisions.transactions == 2
    assert len(issuers(engine)) == 8


def test_one_that_fails_undoes_nothing_of_the_others(engine: Engine, writer: GroupCommit) -> None:
    """By its own error, or by one of the database; each caller gets its own."""
    error = LookupError("x")
    found = behind(writer, [add("a"), add("b", error), add("a"), add("c")])
    assert [found[0], found[1], found[3]] == [2, error, 2]
    assert isinstance(found[2], StorageUnavailable)
    assert "UNIQUE constraint failed" in found[2].reason
    assert issuers(engine) == {"a", "c"}


def test_one_that_breaks_the_transaction_is_left_alone(engine: Engine, writer: GroupCommit) -> None:
    """As a full disk does, which rolls everything back: each change then has a transaction of its own."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER broken BEFORE INSERT ON jwks WHEN NEW.issuer = 'b'"
                " BEGIN SELECT RAISE(ROLLBACK, 'broken'); END"
            )
        )
    found = behind(writer, [add("a"), add("b"), add("c")])
    assert [found[0], found[2]] == [3, 5]
    assert isinstance(found[1], StorageUnavailable)
    assert issuers(engine) == {"a", "c"}


def test_nothing_waits_longer_than_the_limit(engine: Engine, revisions: Counted) -> None:
    """A change that was not begun is taken back, and never made."""
    writer, held = GroupCommit(engine, revisions, seconds=0.1), Held()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(writer.run, held)
        assert held.begun.wait(5)
        with pytest.raises(StorageUnavailable, match="other changes take too long"):
            pool.submit(writer.run, add("late")).result(5)
        held.released.set()
        assert first.result() == 1
    writer.close()
    assert issuers(engine) == set()


def test_the_thread_ends_when_idle(
    engine: Engine, writer: GroupCommit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its connection is closed with it, and the next change starts another one."""
    monkeypatch.setattr(group_commit, "IDLE_SECONDS", 0.01)
    for name in ("a", "b"):
        writer.run(add(name))
        end = time.monotonic() + 5
        while (tmp_path / "state.db-wal").exists():
            assert time.monotonic() < end
            time.sleep(0.005)
    assert issuers(engine) == {"a", "b"}


def test_closing_makes_what_waits(engine: Engine, writer: GroupCommit) -> None:
    """Nothing that was accepted is dropped; closing twice is harmless."""
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(writer.run, add(str(number))) for number in range(20)]
        writer.close()
        assert all(one.result() > 0 for one in done)
    writer.close()
    assert len(issuers(engine)) == 20


def test_a_change_is_on_disk_when_it_returns(tmp_path: Path, engine: Engine, writer: GroupCommit) -> None:
    """Another process that opens the file sees it."""
    writer.run(add("a"))
    assert issuers(sqlite(tmp_path)) == {"a"}
