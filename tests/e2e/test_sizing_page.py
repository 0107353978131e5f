"""docs/sizing.md: its figures, measured again on a server of this release."""

from __future__ import annotations

import gzip
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from harness.postgresql_server import postgresql_server
from harness.processes import running
from harness.programs import ROOT
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until
from sqlalchemy import text
from stored_credentials import made, sqlite

from bench.credentials import fill
from tokenserver.authn.ldap.pool import Purpose
from tokenserver.authn.protection.plan import DIRECTORY_CALLS
from tokenserver.authn.sql.engines import MORE, POOL
from tokenserver.process.process_limits import FILES_KEPT_BACK, FILES_OF_LISTENER, MAX_FILES
from tokenserver.storage.connections.postgresql import MOST_CONNECTIONS
from tokenserver.storage.engines import engine_for

pytestmark = pytest.mark.waits

PAGE = (ROOT / "docs" / "sizing.md").read_text("utf-8")
ROWS = re.findall(r"^\| <!-- figure: (\w+) --> ([^|]*) \| (.*) \|$", PAGE, re.MULTILINE)
FIGURES = {name: [float(number) for number in re.findall(r"\d+(?:\.\d+)?", cells)] for name, _, cells in ROWS}
SERVICE = "registry.example.com"
POLICIES = {
    "root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["team/**"], actions: [pull]}\n'
}
WORKERS = 2
STORED = {"server": {"workers": WORKERS}, "access_keys": {}, "refresh_tokens": {}}


def near(measured: float, figure: float) -> bool:
    """Whether a figure is right by a quarter."""
    return 0.75 * figure <= measured <= 1.25 * figure


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Two workers with a storage, which have answered some requests."""
    folder = tmp_path_factory.mktemp("sizing")
    people = {f"person-{number}": password() for number in range(5)}
    setup = Setup(people, POLICIES, {SERVICE: "universal"}, {**STORED, "storage": "state/tokenserver.db"})
    with serving(folder, setup) as one:
        until(lambda: f"ready: {WORKERS} workers" in one.daemon.log)
        for name in people:
            for _ in range(60):
                one.token(SERVICE, [f"repository:team/{secrets.token_hex(6)}:pull"], person=name)
        yield one


def share(pid: int) -> float:
    """The proportional share of a process in MB."""
    found = re.search(r"^Pss: +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


def test_memory(server: TokenServer) -> None:
    """Of the master and of each worker."""
    workers = server.daemon.children
    assert len(workers) == WORKERS
    assert near(share(server.daemon.pid), FIGURES["master"][0])
    assert [share(worker) for worker in workers if not near(share(worker), FIGURES["worker"][0])] == []


def test_descriptors(server: TokenServer) -> None:
    """At most as many as the page says, which leaves what policies and directories need."""
    most = max(len(list(Path(f"/proc/{worker}/fd").iterdir())) for worker in server.daemon.children)
    assert 0.5 * FIGURES["descriptors"][0] <= most <= FIGURES["descriptors"][0]


def test_events(server: TokenServer) -> None:
    """Their size, with one repository and with ten, and how far they can be compressed."""
    events = server.daemon.stdout.read_bytes()
    size = len(events) / events.count(b"\n")
    assert near(size, FIGURES["event"][0])
    assert len(gzip.compress(events)) / len(events) <= FIGURES["compressed"][0] / 100
    mark = server.audit.mark()
    server.token(SERVICE, [f"repository:team/{secrets.token_hex(6)}:pull" for _ in range(10)], person="person-0")
    (event,) = server.audit.events(mark)
    assert near((len(json.dumps(event.fields, separators=(",", ":"))) - size) / 9, FIGURES["repository"][0])


def test_rows(tmp_path: Path) -> None:
    """The file of SQLite, by the credentials in it."""
    database = made(sqlite(tmp_path))
    (file,) = tmp_path.iterdir()
    empty = file.stat().st_size
    fill(database, 5000)
    database.close()
    assert near((file.stat().st_size - empty) / 5000, FIGURES["row"][0])


@pytest.mark.real("postgresql")
def test_connections_to_postgresql(tmp_path: Path) -> None:
    """Those that stay open while nothing happens, and the most that each pool opens."""
    with postgresql_server() as database:
        setup = Setup({"ann": password()}, POLICIES, {SERVICE: "universal"}, {**STORED, "storage": database.url})
        server = TokenServer(tmp_path, setup)
        server.run("storage", "init", "--config", server.config)
        engine = engine_for(database.url)
        with closing(server.wire), running(server.daemon, server.is_ready):
            time.sleep(2)
            with engine.connect() as connection:
                query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                found = connection.execute(text(query)).scalar_one() - 1  # this one
        engine.dispose()
    each, most = FIGURES["storage"]
    assert WORKERS <= found <= WORKERS * each
    assert most == MOST_CONNECTIONS + 1


def test_limits_of_connections_and_descriptors() -> None:
    """The numbers on the page are those of the code."""
    assert FIGURES["people"] == [POOL, POOL + MORE]
    assert FIGURES["directory"] == [DIRECTORY_CALLS * len(Purpose)]
    text = f"A worker needs {FILES_KEPT_BACK} for itself, {FILES_OF_LISTENER} for a management listener"
    assert text in PAGE
    assert f"which is {MAX_FILES:,}." in PAGE
