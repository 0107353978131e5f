"""Coherence: a credential that is ended by one process stops working in all others within two seconds.

The workers have the real index and follower, in processes of their own, and use all credentials all the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from harness import storage_worker
from harness.postgresql_server import PostgresqlServer, postgresql_server
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from stored_credentials import PLAIN, made, store_of

from tokenserver.access_keys import AccessKey
from tokenserver.storage.connections.files import make_file
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.unavailable import StorageUnavailable

pytestmark = pytest.mark.alone

REVOCATIONS = 500
LATEST_SECONDS = 2.0


class Workers:
    """Processes that use credentials."""

    def __init__(self, place: str, number: int, stack: ExitStack) -> None:
        command = [sys.executable, storage_worker.__file__, place]
        root = Path(__file__).parents[2]
        environment = {"PYTHONPATH": f"{root}:{root / 'tests' / 'e2e'}", "PATH": "/usr/bin:/bin"}
        self._processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
                )
            )
            for _ in range(number)
        ]
        for process in self._processes:
            stack.callback(process.kill)
        for process in self._processes:
            assert self._line(process) == "ready"

    def tell(self, line: str) -> None:
        """Send a line to all of them."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")

    def reports(self) -> list[dict[str, Any]]:
        """End all of them; what each of them reports."""
        self.tell("stop")
        return [json.loads(self._line(process)) for process in self._processes]

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()


@contextmanager
def workers(place: str, number: int) -> Iterator[Workers]:
    """Running workers; none is left."""
    with ExitStack() as stack:
        yield Workers(place, number, stack)


@contextmanager
def busy(database: Database) -> Iterator[list[int]]:
    """Somebody makes and ends credentials all the time, in a process that revokes others; how many."""
    stop, done, store = threading.Event(), [0], store_of(database)

    def work() -> None:
        while not stop.wait(0.005):
            with suppress(StorageUnavailable):  # its connection was killed, or the machine is busy
                key, _ = store.create(PLAIN, at_most=100_000)
                store.end(Selection(ids=frozenset({key.id})), by="ann", reason="load")
                done[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def revoke_all(database: Database, place: str, number: int) -> tuple[list[float], list[dict[str, Any]]]:
    """End credentials one after the other while all workers use them: by how many seconds each was used too late."""
    store = store_of(database)
    keys: list[AccessKey] = [store.create(PLAIN, at_most=100_000)[0] for _ in range(REVOCATIONS)]
    committed: dict[str, float] = {}
    with workers(place, number) as running:
        for key in keys:
            running.tell(key.text.reveal())
        time.sleep(1.0)
        with busy(database) as done:
            for key in keys:
                committed[key.id] = revoked_at(store, key)
            time.sleep(LATEST_SECONDS + 0.5)
        reports = running.reports()
    assert done[0] > 10, "there was no load"
    late = [max(report["worked"].get(key.id, 0.0) for report in reports) - committed[key.id] for key in keys]
    return late, reports


def revoked_at(store: CredentialStore, key: AccessKey) -> float:
    """End a credential; the moment of its commit, or one before it if that cannot be told."""
    failed: float | None = None
    while True:
        begin = time.monotonic()
        try:
            store.end(Selection(ids=frozenset({key.id})), by="ann", reason="lost")
        except StorageUnavailable:
            failed = failed or begin
        else:
            return failed or time.monotonic()


def check(late: list[float], reports: list[dict[str, Any]], what: str, record: Any) -> None:
    """No credential was used too late, and all of them were used before."""
    worst, p99 = max(late), sorted(late)[int(len(late) * 0.99)]
    record(f"{what}_p99_seconds", round(p99, 3))
    sys.stdout.write(
        f"{what}: last use after the commit: p99 {p99:.3f} s, worst {worst:.3f} s, {len(reports)} workers\n"
    )
    assert all(len(report["worked"]) == REVOCATIONS for report in reports)
    assert worst <= LATEST_SECONDS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new file of SQLite."""
    make_file(tmp_path / "state.db")
    return tmp_path / "state.db"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    """A real server."""
    with postgresql_server() as server:
        yield server


@contextmanager
def database_at(place: Path | str) -> Iterator[Database]:
    """A database without any credential."""
    database = made(engine_for(place))
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def replicated(postgresql: PostgresqlServer) -> Iterator[Database]:
    """An empty database of the server."""
    engine = engine_for(postgresql.url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    with database_at(postgresql.url) as database:
        yield database


def test_four_workers_on_sqlite(file: Path, record_property: Any) -> None:
    """The first replica's own workers, who hear of it by the data version."""
    with database_at(file) as database:
        check(*revoke_all(database, str(file), 4), "sqlite", record_property)


@pytest.mark.real("postgresql")
def test_two_replicas_on_postgresql(postgresql: PostgresqlServer, replicated: Database, record_property: Any) -> None:
    """Eight workers, whose listening connections are killed again and again meanwhile."""
    stop, killed = threading.Event(), [0]

    def kill() -> None:
        statement = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'")
        while not stop.wait(0.4):
            with suppress(SQLAlchemyError), killer.begin() as connection:
                killed[0] += int(connection.execute(statement).scalar_one())

    killer = engine_for(postgresql.url)
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        late, reports = revoke_all(replicated, postgresql.url, 8)
    finally:
        stop.set()
        thread.join()
        killer.dispose()
    assert killed[0] >= 8, "no connection was killed"
    check(late, reports, "postgresql", record_property)
