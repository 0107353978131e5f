"""The registrar of versions: what the next start hears, and that an outage delays a start by one question at most."""

from __future__ import annotations

import threading

from sqlalchemy import text
from stored_credentials import NOW, STATE_KEYS

from tokenserver.server.stored.version_registrar import RETRY_SECONDS, VersionRegistrar
from tokenserver.storage.database import Database
from tokenserver.storage.trail.versions import VersionRegister, VersionRow
from tokenserver.storage.unavailable import StorageUnavailable


class Start:
    """One run of a server, with a monotonic clock. `error` is raised by the storage while it is set."""

    def __init__(self, database: Database, name: str = "host :1") -> None:
        self.now = 100.0
        self.logged: list[str] = []
        self.register = Faulty()
        self.registrar = VersionRegistrar(
            database, self.register, name, is_first=self._is_first, monotonic=lambda: self.now
        )

    def _is_first(self, line: str) -> bool:
        self.logged.append(line)
        return True


class Faulty(VersionRegister):
    """A register with faults; `calls` counts what was tried."""

    def __init__(self) -> None:
        super().__init__(STATE_KEYS)
        self.error: Exception | None = None
        self.calls = 0

    def put(self, database: Database, row: VersionRow) -> None:
        self._fail()
        super().put(database, row)

    def of_server(self, database: Database, server: str) -> dict[str, VersionRow]:
        self._fail()
        return super().of_server(database, server)

    def _fail(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


def test_the_next_start_hears_it(database: Database) -> None:
    """Of the same server alone."""
    first = Start(database)
    assert first.registrar.before("policies/") is None
    first.registrar.came("policies/", "a" * 64, NOW)
    first.registrar.came("policies/", "b" * 64, NOW + 1.5)
    first.registrar.look()
    assert first.register.calls == 2
    assert first.registrar.before("policies/") is None  # of before this start
    second = Start(database)
    assert second.registrar.before("policies/") == ("b" * 64, "2027-01-15T08:00:01.500Z")
    assert second.registrar.before("keys/x") is None
    assert second.register.calls == 1
    assert Start(database, "host :2").registrar.before("policies/") is None


def test_an_outage(database: Database) -> None:
    """The storage is asked once at the start; what came is kept when it answers again."""
    start = Start(database)
    start.register.error = StorageUnavailable("gone")
    assert (start.registrar.before("policies/"), start.registrar.before("keys/x")) == (None, None)
    assert start.register.calls == 1
    start.registrar.came("policies/", "a" * 64, NOW)
    start.registrar.look()
    assert start.register.calls == 1
    start.now += RETRY_SECONDS
    start.registrar.look()
    assert start.register.calls == 2
    start.register.error = None
    start.now += RETRY_SECONDS
    start.registrar.look()
    assert Start(database).registrar.before("policies/") is not None
    assert start.logged == ["audit: the storage does not keep which versions are in force: gone"]


def test_an_error_that_nobody_expects(database: Database) -> None:
    """Its type alone is logged, and the version waits."""
    start = Start(database)
    start.register.error = RuntimeError("canary")
    assert start.registrar.before("policies/") is None
    start.now += RETRY_SECONDS
    start.registrar.came("policies/", "a" * 64, NOW)
    start.registrar.look()
    assert start.logged == ["audit: the storage does not keep which versions are in force: unexpected RuntimeError"]
    start.register.error = None
    start.now += RETRY_SECONDS
    start.registrar.look()
    assert Start(database).registrar.before("policies/") is not None


def test_the_thread_keeps_what_waits_at_the_end(database: Database) -> None:
    """A change that came into force just before the stop is known at the next start."""
    start = Start(database)
    stop = threading.Event()
    thread = start.registrar.start(stop)
    start.registrar.came("policies/", "a" * 64, NOW)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert Start(database).registrar.before("policies/") is not None
    with database.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_versions")).scalar_one() == 1
