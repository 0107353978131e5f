"""Runs of real servers that share a storage: what is removed is missed, and what happens by accident is explained."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.registries import KEEPER
from harness.replica import Replica, replica
from harness.server import Setup, TokenServer, serving
from sqlalchemy import text
from test_audit_chain import TARGET, load, soon, verified

from tokenserver.storage.engines import engine_for

pytestmark = pytest.mark.alone

WORKERS = 2
STORAGE = "state/tokenserver.db"
SEAL = b'"event":"audit_seal"'


@pytest.fixture
def recorded(setup: Setup) -> Setup:
    """A server of two workers with a chain and a storage."""
    settings = {"server": {"workers": WORKERS}, "token_reuse": 0, "audit": {"chain": True}, "storage": STORAGE}
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)


@pytest.fixture
def server(recorded: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Such a server, whose events go into a file."""
    with serving(tmp_path_factory.mktemp("recorded"), recorded) as server:
        yield server


def rows(server: TokenServer) -> list[dict[str, Any]]:
    """What the storage knows of chains."""
    engine = engine_for(server.folder / STORAGE)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text("SELECT * FROM audit_chains ORDER BY began")).mappings()]


def await_seals(log: Path) -> None:
    """Wait until each worker has sealed."""
    soon(lambda: log.read_bytes().count(SEAL) >= WORKERS)


def ask(port: int, times: int = 5) -> None:
    for _ in range(times):
        assert web.request(port, "GET", TARGET).status == 200


def use(server: TokenServer | Replica) -> None:
    """Requests until every worker has answered some: one that is stopped before it serves closes no chain."""
    log = server.daemon.stdout

    def have_all_answered() -> bool:
        answered = {chain_of(line) for line in log.read_bytes().splitlines() if b'"event":"exchange"' in line}
        return len(answered) == WORKERS

    await_seals(log)
    with load(server):
        soon(have_all_answered, seconds=60)


def finish_run(server: TokenServer, name: str) -> Path:
    """Some requests, then an orderly stop; the file of this run."""
    use(server)
    server.daemon.stop()
    return server.daemon.stdout.rename(server.folder / name)


def kill_all(server: TokenServer) -> None:
    """As the kernel does where there is no memory."""
    for pid in [*server.daemon.children, server.daemon.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.daemon.stop()


def told(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["kind"], one["chain"]) for one in found["findings"]}


def chains_in(log: Path) -> set[str]:
    return {chain_of(line) for line in log.read_bytes().splitlines()}


def chain_of(line: bytes) -> str:
    return line.rpartition(b'"chain":"')[2][:8].decode()


def test_runs_that_are_removed(server: TokenServer, tmp_path: Path) -> None:
    """Each of three in turn, as a whole and its end; the one in the middle without the storage, too."""
    runs = []
    for number in range(3):
        runs.append(finish_run(server, f"log.{number}"))
        if number < 2:
            server.daemon.start(server.is_ready)
    found = verified(server, runs)
    assert (found["findings"], found["notes"]) == ([], [])
    [summary] = found["servers"]
    assert (summary["chains"], summary["is_ended"]) == (3 * WORKERS, True)
    assert verified(server, runs[2:])["findings"] == []
    for gone in runs[1:]:
        left = verified(server, [run for run in runs if run is not gone])
        assert told(left) == {("removed", chain) for chain in chains_in(gone)}
    assert told(verified(server, [runs[0], runs[2]])) == {("removed", chain) for chain in chains_in(runs[1])}
    for number, run in enumerate(runs):
        lines = run.read_bytes().splitlines(keepends=True)
        cut = tmp_path / run.name
        cut.write_bytes(b"".join(lines[:-1]))
        others = [one for one in runs if one is not run]
        assert [kind for kind, _ in told(verified(server, [*others, cut]))] == ["removed"], number


def test_servers_that_are_killed(server: TokenServer) -> None:
    """No finding: the storage knows what was sealed, and no more; the next run states it.

    The first run is killed before the storage knows all of it, perhaps; a look later it does.
    """
    logs = []
    for number in range(3):
        await_seals(server.daemon.stdout)
        if number:
            soon(lambda: chains_in(server.daemon.stdout) <= {row["chain"] for row in rows(server)})
        with load(server):
            time.sleep(0.2 * number)
            kill_all(server)
        logs.append(server.daemon.stdout.rename(server.folder / f"log.{number}"))
        server.daemon.start(server.is_ready)
    logs.append(finish_run(server, "log.last"))
    found = verified(server, logs)
    assert found["findings"] == []
    gone = verified(server, [logs[0], *logs[2:]])
    assert {kind for kind, _ in told(gone)} == {"removed"}
    assert {chain for _, chain in told(gone)} <= chains_in(logs[1])


def test_replicas(server: TokenServer, tmp_path: Path) -> None:
    """Each has runs of its own; one that is gone for good is no finding, and its lines of that time are missed."""
    with replica(server, tmp_path) as other:
        use(other)
    first = finish_run(server, "log.0")
    server.daemon.start(server.is_ready)
    second = finish_run(server, "log.1")
    log = other.daemon.stdout
    found = verified(server, [first, second, log])
    assert (found["findings"], found["notes"]) == ([], [])
    ports = {one["server"].rpartition(":")[2]: (one["chains"], one["is_ended"]) for one in found["servers"]}
    assert ports == {str(server.port): (2 * WORKERS, True), str(other.port): (WORKERS, True)}
    missing = verified(server, [first, second])
    assert told(missing) == {("removed", chain) for chain in chains_in(log)}
    assert all(f":{other.port}, begun" in one["message"] for one in missing["findings"])
    assert told(verified(server, [second, log])) <= {("removed", chain) for chain in chains_in(first)}


def test_a_storage_that_is_gone(server: TokenServer) -> None:
    """Neither the start nor a request waits for it, and no finding comes of it."""
    first = finish_run(server, "log.0")
    folder = server.folder / "state"
    folder.rename(server.folder / "away")
    folder.mkdir(mode=0o700)
    (folder / "tokenserver.db").write_bytes(b"no database" * 1000)
    (folder / "tokenserver.db").chmod(0o600)
    server.daemon.start(lambda: answers_tokens(server))
    await_seals(server.daemon.stdout)
    second = finish_run(server, "log.1")
    assert "the storage does not keep how far the chain of events is sealed" in server.daemon.log
    shutil.rmtree(folder)
    (server.folder / "away").rename(folder)
    server.daemon.start(server.is_ready)
    third = finish_run(server, "log.2")
    found = verified(server, [first, second, third])
    assert (found["findings"], found["notes"]) == ([], [])
    assert told(verified(server, [second, third])) == set()


def answers_tokens(server: TokenServer) -> bool:
    """Whether the server gives tokens, ready or not."""
    with suppress(OSError):
        return web.request(server.port, "GET", TARGET).status == 200
    return False


def test_an_old_backup(server: TokenServer) -> None:
    """What the storage has forgotten is not missed, and runs go on from what it knows: no finding."""
    backup = server.folder / "backup.db"
    first = finish_run(server, "log.0")
    server.run("storage", "backup", str(backup), "--config", server.config)
    server.daemon.start(server.is_ready)
    second = finish_run(server, "log.1")
    server.run("storage", "restore", str(backup), "--keep", "--config", server.config)
    assert len(rows(server)) == WORKERS
    server.daemon.start(server.is_ready)
    third = finish_run(server, "log.2")
    found = verified(server, [first, second, third])
    assert (found["findings"], found["notes"]) == ([], [])
    assert told(verified(server, [first, third])) == set()  # nobody knows it any more


def test_a_full_disk(server: TokenServer) -> None:
    """The storage knows no seal that the log does not have."""
    import resource

    ask(server.port, 20)
    await_seals(server.daemon.stdout)
    full = server.daemon.stdout.stat().st_size + 2500
    for pid in server.daemon.children:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    soon(lambda: web.request(server.port, "GET", TARGET).status == 503)
    kill_all(server)
    first = server.daemon.stdout.rename(server.folder / "log.0")
    server.daemon.start(server.is_ready)
    second = finish_run(server, "log.1")
    assert verified(server, [first, second])["findings"] == []
