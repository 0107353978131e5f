"""The registrar of a worker: what it keeps in the storage and when, and that an outage stops neither seals nor ends."""

from __future__ import annotations

import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from audit_chains import Writer, key
from sqlalchemy import text
from stored_credentials import STATE_KEYS, new_database

from tokenserver.exchange.audit_chain.record import ChainRecord
from tokenserver.exchange.audit_chain.seal_text import StatedChain
from tokenserver.server.stored import chain_registrar
from tokenserver.server.stored.chain_registrar import RETRY_SECONDS, ChainRegistrar, server_name
from tokenserver.storage.database import Database
from tokenserver.storage.trail.chains import ChainRegister, ChainRow
from tokenserver.storage.unavailable import StorageUnavailable

REGISTER = ChainRegister(STATE_KEYS)
SIGNS = key()
NAME = "host :1"
READ_ONLY = """
    CREATE TRIGGER no_insert BEFORE INSERT ON audit_chains
    BEGIN SELECT RAISE(FAIL, 'attempt to write a readonly database'); END
"""


class Worker:
    """A worker with its chain, in a file, and its registrar. `now` is its monotonic clock."""

    def __init__(self, path: Path, database: Database, name: str = NAME, register: ChainRegister = REGISTER) -> None:
        self.now = 100.0
        self.logged: list[str] = []
        self.record = ChainRecord(name, monotonic=lambda: self.now)
        self.registrar = ChainRegistrar(
            database, register, self.record, is_first=self._is_first, monotonic=lambda: self.now
        )
        self.writer = Writer(path, SIGNS, record=self.record)

    def _is_first(self, line: str) -> bool:
        self.logged.append(line)
        return True

    def run(self) -> None:
        """Begin the chain, write some lines, and close it."""
        self.registrar.look()
        self.writer.sealer.check()
        self.writer.write(3)
        self.writer.sealer.close()
        self.writer.close()


class Broken(ChainRegister):
    """A register that fails while `error` is set; `calls` counts what was tried."""

    def __init__(self) -> None:
        super().__init__(STATE_KEYS)
        self.error: Exception | None = StorageUnavailable("gone")
        self.calls = 0

    def before(self, database: Database, server: str) -> list[ChainRow]:
        self._fail()
        return super().before(database, server)

    def put(self, database: Database, row: ChainRow) -> None:
        self._fail()
        super().put(database, row)

    def _fail(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


def known(database: Database) -> list[tuple[str, int, int, int]]:
    return [(row.chain, row.number, row.closed, row.stated) for row in REGISTER.known(database).rows]


def test_a_chain_is_kept(database: Database, tmp_path: Path) -> None:
    """Its first seal, and that it is closed, by the time that `close` returns."""
    worker = Worker(tmp_path / "1", database)
    worker.registrar.look()
    assert known(database) == []
    worker.writer.sealer.check()
    worker.registrar.look()
    assert known(database) == [(worker.writer.sink.chain, 1, 0, 0)]
    worker.writer.write(3)
    worker.writer.sealer.close()
    assert known(database) == [(worker.writer.sink.chain, 5, 1, 0)]
    worker.writer.close()


def test_the_next_run_states_it(database: Database, tmp_path: Path) -> None:
    """Once, with the time of its last seal; a server of another name states nothing."""
    first = Worker(tmp_path / "1", database)
    first.run()
    other = Worker(tmp_path / "2", database, "other :1")
    other.registrar.look()
    assert other.record.stating() == []
    second = Worker(tmp_path / "3", database)
    second.registrar.look()
    ended = "2027-01-31T12:00:03.000Z"
    assert second.record.stating() == [StatedChain(first.writer.sink.chain, 5, ended)]
    second.run()
    assert (first.writer.sink.chain, 5, 1, 5) in known(database)
    third = Worker(tmp_path / "4", database)
    third.registrar.look()
    assert [one.chain for one in third.record.stating()] == [second.writer.sink.chain]


def test_an_outage_at_the_start(database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, asked again after a while, and what came before is in a later seal."""
    Worker(tmp_path / "1", database).run()
    register = Broken()
    worker = Worker(tmp_path / "2", database, register=register)
    with caplog.at_level(logging.WARNING):
        worker.registrar.look()
        assert worker.record.is_awaited
        worker.registrar.look()
        assert register.calls == 1
        worker.now += RETRY_SECONDS
        worker.registrar.look()
        assert register.calls == 2
    assert caplog.messages == ["audit: the storage does not keep how far the chain of events is sealed: gone"]
    worker.writer.sealer.check()
    assert worker.record.newest is not None
    register.error = None
    worker.now += RETRY_SECONDS
    worker.registrar.look()
    assert len(worker.record.stating()) == 1
    assert (worker.writer.sink.chain, 1, 0, 0) in known(database)
    register.error = StorageUnavailable("gone again")
    worker.writer.write(1)
    worker.writer.seal()
    worker.registrar.look()
    assert caplog.messages[1:] == ["audit: the storage does not keep how far the chain of events is sealed: gone again"]


def test_an_outage_at_the_end(database: Database, tmp_path: Path) -> None:
    """A storage that did not answer a moment ago is not waited for; the row says what it was."""
    register = Broken()
    register.error = None
    worker = Worker(tmp_path / "1", database, register=register)
    worker.registrar.look()
    worker.writer.sealer.check()
    worker.registrar.look()
    register.error = StorageUnavailable("gone")
    worker.writer.write(1)
    worker.writer.seal()
    worker.registrar.look()
    calls = register.calls
    worker.writer.sealer.close()
    assert register.calls == calls
    assert known(database) == [(worker.writer.sink.chain, 1, 0, 0)]
    worker.writer.close()


def test_an_unexpected_error(database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its type alone is logged, and the thread goes on."""
    register = Broken()
    register.error = RuntimeError("canary")
    worker = Worker(tmp_path / "1", database, register=register)
    worker.registrar.look()
    assert caplog.messages[-1].endswith("unexpected RuntimeError")
    worker.writer.close()


def test_a_database_that_can_only_be_read(tmp_path: Path) -> None:
    """What came before is stated nevertheless, and the message says what to do."""
    database = new_database(tmp_path)
    Worker(tmp_path / "1", database).run()
    with database.engine.begin() as connection:
        connection.execute(text(READ_ONLY))
    worker = Worker(tmp_path / "2", database)
    worker.run()
    assert worker.writer.lines[-1].count(b"audit_seal") == 1
    assert len(known(database)) == 1
    assert "make the file, its folder and its mount writable" in worker.logged[0]
    database.close()


def test_the_thread(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks until it is stopped."""
    monkeypatch.setattr(chain_registrar, "LOOK_SECONDS", 0.01)
    worker = Worker(tmp_path / "1", database)
    stop = threading.Event()
    thread = worker.registrar.start(stop)
    end = time.monotonic() + 20
    while not worker.record.is_known and time.monotonic() < end:
        time.sleep(0.01)
    worker.writer.sealer.check()
    while not known(database) and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert known(database) == [(worker.writer.sink.chain, 1, 0, 0)]
    worker.writer.close()


def test_a_server_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host and where it listens; the same after a restart."""

    def host(*_: Any) -> str:
        return "auth-1"

    monkeypatch.setattr(socket, "gethostname", host)
    assert server_name("0.0.0.0:5001") == "auth-1 0.0.0.0:5001"
