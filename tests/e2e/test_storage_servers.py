"""Coherence of whole servers: what one process revokes, no worker of any replica accepts two seconds later.

Two replicas on a real PostgreSQL, under load, whose listening connections are killed again and again. The index and the
follower alone, with more revocations by day: test_storage_coherence.py.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.postgresql_server import PostgresqlServer, postgresql_server
from harness.replica import replica
from harness.server import Setup, serving
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from stored_credentials import DAY, PLAIN

from tokenserver.access_keys import AccessKey
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import read_state_keys
from tokenserver.storage.store import CredentialStore

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.alone]

SERVICE = "reg.test"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
TARGET = web.token_target(SERVICE, ["repository:x:pull"])

LATEST_SECONDS = 2.0
CLIENTS = 6
"""Each asks one replica after the other, by a new connection for each request, so that every worker is asked."""

ASKED_SECONDS = LATEST_SECONDS + 1.0
"""For how long after its end a key is asked for."""


@contextmanager
def killing(server: PostgresqlServer) -> Iterator[list[int]]:
    """The connections on which workers hear of changes are killed, all of them, more than once a second; how many."""
    stop, killed, engine = threading.Event(), [0], engine_for(server.url)
    statement = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'")

    def kill() -> None:
        while not stop.wait(0.7):
            with suppress(SQLAlchemyError), engine.begin() as connection:
                killed[0] += int(connection.execute(statement).scalar_one())

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()
        engine.dispose()


class Crowd:
    """Clients that use keys all the time. `last` is when each last worked, `asked` how often it was used after its end.

    Moments are those at which requests began: an answer that took long proves nothing about its end.
    """

    def __init__(self, ports: list[int], keys: list[AccessKey]) -> None:
        self._ports = ports
        self._texts = {key.id: key.text.reveal() for key in keys}
        self._turn = count()
        self._stop = threading.Event()
        self.wanted: list[str] = [*self._texts]
        self.last: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.asked: dict[str, int] = dict.fromkeys(self._texts, 0)
        self.others: list[int] = []

    def use(self) -> None:
        """Use keys in turn until the end."""
        while not self._stop.is_set():
            number = next(self._turn)
            wanted = self.wanted
            if wanted:
                self.ask(wanted[number % len(wanted)], self._ports[number % len(self._ports)])

    def ask(self, identifier: str, port: int) -> int:
        """One request with this key; its status."""
        begin = time.monotonic()
        status = web.request(port, "GET", TARGET, headers=web.basic("ann", self._texts[identifier])).status
        if status == 200:
            self.last[identifier] = max(begin, self.last.get(identifier, 0.0))
        elif status == 401:
            self.asked[identifier] += 1
        else:
            self.others.append(status)
        return status

    def stop(self) -> None:
        """Let the clients end."""
        self._stop.set()


def revoke_all(store: CredentialStore, keys: list[AccessKey], crowd: Crowd, pause: float) -> None:
    """End keys one after the other. Those that ended long ago are not asked for any more."""
    waiting = [key.id for key in keys]
    for key in keys:
        store.end(Selection(ids=frozenset({key.id})), by="root", reason="lost")
        crowd.ended[key.id] = time.monotonic()
        waiting.remove(key.id)
        recent = [one for one, at in crowd.ended.items() if time.monotonic() - at < ASKED_SECONDS]
        crowd.wanted = [*recent, *waiting[:CLIENTS]]
        time.sleep(pause)
    time.sleep(ASKED_SECONDS)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    """A real server, with the tables."""
    with postgresql_server() as found:
        engine = engine_for(found.url)
        migrate_schema(engine, server="", now=int(time.time()))
        engine.dispose()
        yield found


@pytest.mark.parametrize(
    ("revocations", "workers", "pause"),
    [pytest.param(40, 2, 0.15, id="small"), pytest.param(500, 4, 0.1, id="large", marks=pytest.mark.nightly)],
)
def test_two_replicas(
    revocations: int, workers: int, pause: float, postgresql: PostgresqlServer, tmp_path: Path, record_property: Any
) -> None:
    """Every key works everywhere before, and nowhere two seconds after its end."""
    settings = {"storage": postgresql.url, "access_keys": {"per_user": 1000}, "server": {"workers": workers}}
    setup = Setup({"ann": "right"}, POLICIES, {SERVICE: "universal"}, settings)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(serving(tmp_path / "first", setup))
        second = stack.enter_context(replica(first, tmp_path / "second"))
        database = Database(engine_for(postgresql.url))
        stack.callback(database.close)
        store = CredentialStore(database, read_state_keys(first.folder / "keys"), now=time.time)
        wanted = replace(PLAIN, source="htpasswd", ends=int(time.time()) + DAY)
        keys = [store.create(wanted, at_most=1000)[0] for _ in range(revocations)]
        crowd = Crowd([first.port, second.port], keys)
        for key in keys:
            assert [crowd.ask(key.id, port) for port in (first.port, second.port)] == [200, 200]
        with killing(postgresql) as killed, ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(crowd.use) for _ in range(CLIENTS)]
            try:
                revoke_all(store, keys, crowd, pause)
            finally:
                crowd.stop()
            for client in clients:
                client.result()
        late = sorted(max(crowd.last[key.id] - crowd.ended[key.id], 0.0) for key in keys)
        asked = sum(crowd.asked.values())
        p99, worst = late[int(len(late) * 0.99)], late[-1]
        record_property("whole_servers_p99_seconds", round(p99, 3))
        sys.stdout.write(
            f"{revocations} revocations, 2 replicas of {workers} workers: last use after the commit: p99 {p99:.3f} s,"
            f" worst {worst:.3f} s; {asked} refused uses; {killed[0]} connections killed\n"
        )
        assert killed[0] >= 2, "no connection was killed"
        assert asked >= revocations, "there was no load"
        assert worst <= LATEST_SECONDS
        assert set(crowd.others) <= {503}, "a storage that has just lost a connection may not be able to tell"
        for key in keys[-20:]:
            assert {crowd.ask(key.id, port) for port in (first.port, second.port) for _ in range(workers * 2)} == {401}
