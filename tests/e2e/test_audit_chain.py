"""The chain of audit events of real servers: whole under load, after kills, restarts, rotations and full disks."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.processes import run
from harness.registries import KEEPER
from harness.replica import Replica
from harness.server import Setup, TokenServer, serving
from harness.waiting import until

pytestmark = pytest.mark.alone

SERVICE = "registry2.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
WORKERS = 2
CLIENTS = 6

soon = partial(until, seconds=15.0)


@pytest.fixture
def chained(setup: Setup) -> Setup:
    """A server of two workers with a chain."""
    settings = {"server": {"workers": WORKERS}, "token_reuse": 0, "audit": {"chain": True}}
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)


@pytest.fixture
def server(chained: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Such a server, whose events go into a file."""
    with serving(tmp_path_factory.mktemp("chained"), chained) as server:
        yield server


@contextlib.contextmanager
def load(*servers: TokenServer | Replica) -> Iterator[set[str]]:
    """Requests by several clients while the block runs; gives the ids of the tokens that they got."""
    end, jtis = threading.Event(), set[str]()

    def ask(number: int) -> None:
        while not end.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = web.request(servers[number % len(servers)].port, "GET", TARGET)
                if answer.status == 200:
                    jtis.add(str(web.claims(answer.json()["access_token"])["jti"]))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield jtis
    finally:
        end.set()
        for client in clients:
            client.join()


def verified(server: TokenServer, files: Sequence[Path]) -> dict[str, Any]:
    """What `audit verify` finds, as the operator of the server runs it."""
    command = server.command("audit", "verify", *files, "--config", server.config, "--json")
    output = run(command, environment=server.environment, folder=server.folder)
    found: dict[str, Any] = json.loads(output.stdout)
    assert output.code == (1 if found["findings"] else 0)
    return found


def jtis_in(*files: Path) -> set[str]:
    """The ids of tokens in whole lines."""
    found = set()
    for file in files:
        for line in file.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                found.add(str(json.loads(line).get("jti")))
    return found


def test_each_worker_writes_a_chain(server: TokenServer, tmp_path: Path) -> None:
    """Under load, and closed when the server stops; one changed byte is found, and a chain that is removed."""
    with load(server) as jtis:
        time.sleep(1.5)
    server.daemon.stop()
    log = server.daemon.stdout
    assert jtis <= jtis_in(log)
    found = verified(server, [log])
    assert (found["findings"], found["notes"]) == ([], [])
    assert len(found["chains"]) == WORKERS
    assert all((chain["first"], chain["is_closed"]) == (1, True) for chain in found["chains"])
    assert sum(chain["last"] for chain in found["chains"]) == found["events"]
    data = log.read_bytes()
    middle = data.index(b'"registry"', len(data) // 2)
    changed = tmp_path / "changed"
    changed.write_bytes(data[:middle] + b'"Registry"' + data[middle + 10 :])
    number = data.count(b"\n", 0, middle) + 1
    [finding] = verified(server, [changed])["findings"]
    assert (finding["kind"], finding["line"] <= number <= finding["end_line"]) == ("changed", True)
    for chain in found["chains"]:
        left = [line for line in data.splitlines(keepends=True) if f'"chain":"{chain["chain"]}:'.encode() not in line]
        changed.write_bytes(b"".join(left))
        findings = verified(server, [changed])["findings"]
        assert [(one["kind"], one["chain"]) for one in findings] == [("removed", chain["chain"])]


def test_keys_rotate_and_files_rotate(server: TokenServer, tmp_path: Path) -> None:
    """In an emergency, under load: the seals of both keys count, whichever files have them."""
    log = server.daemon.stdout
    with load(server):
        time.sleep(0.5)
        server.run("keys", "rotate", "--emergency", "--config", server.config)
        before = log.read_bytes().count(b"\n")
        soon(lambda: log.read_bytes().count(b"\n") > before + 50)
    server.daemon.stop()
    lines = log.read_bytes().splitlines(keepends=True)
    files = [tmp_path / "log.1", tmp_path / "log"]
    files[0].write_bytes(b"".join(lines[: len(lines) // 2]))
    files[1].write_bytes(b"".join(lines[len(lines) // 2 :]))
    for order in (files, files[::-1]):
        found = verified(server, order)
        assert (found["findings"], found["notes"]) == ([], [])
    assert [one["kind"] for one in verified(server, files[1:])["findings"]] == []


def test_restarts_and_replicas(
    server: TokenServer, chained: Setup, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Each start of each replica has chains of its own, and all are verified together."""
    with serving(tmp_path_factory.mktemp("replica"), chained) as replica:
        with load(server, replica):
            time.sleep(0.5)
        server.daemon.stop()
        first = tmp_path / "first"
        server.daemon.stdout.rename(first)
        server.daemon.start(server.is_ready)
        with load(server, replica):
            time.sleep(0.5)
        server.daemon.stop()
        replica.daemon.stop()
        command = server.command(
            "audit", "verify", replica.daemon.stdout, server.daemon.stdout, first, "--json",
            "--keys", server.folder / "keys", "--keys", replica.folder / "keys",
        )  # fmt: skip
        found = json.loads(run(command, environment=server.environment, folder=server.folder).stdout)
    assert (found["findings"], found["notes"]) == ([], [])
    assert len(found["chains"]) == 3 * WORKERS
    assert all(chain["is_closed"] and chain["first"] == 1 for chain in found["chains"])


def test_a_full_disk(server: TokenServer) -> None:
    """The line that was cut off is noted, and nothing is missed."""
    for _ in range(20):
        assert web.request(server.port, "GET", TARGET).status == 200
    out = server.daemon.stdout
    full = out.stat().st_size + 3000
    for pid in server.daemon.children:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    soon(lambda: web.request(server.port, "GET", TARGET).status == 503)
    for pid in server.daemon.children:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    soon(lambda: server.request("GET", "/readyz").status == 200)
    for _ in range(20):
        assert web.request(server.port, "GET", TARGET).status == 200
    server.daemon.stop()
    found = verified(server, [out])
    assert found["findings"] == []
    [note] = found["notes"]
    assert "could not be written as a whole" in note


def test_a_worker_that_is_killed(server: TokenServer, tmp_path: Path) -> None:
    """Its chain ends, its successor states it, and lines that are removed from its end are missed."""
    log = server.daemon.stdout
    with load(server) as jtis:
        soon(lambda: len(jtis) > 200)
        before = server.daemon.children
        os.kill(before[0], signal.SIGKILL)
        soon(lambda: len(server.daemon.children) == WORKERS and before[0] not in server.daemon.children)
        soon(lambda: log.read_bytes().count(b'"event":"audit_seal"') > WORKERS)
    server.daemon.stop()
    assert jtis <= jtis_in(log)
    found = verified(server, [log])
    assert (found["findings"], len(found["chains"])) == ([], WORKERS + 1)
    [ended] = [chain for chain in found["chains"] if not chain["is_closed"]]
    lines = log.read_bytes().splitlines(keepends=True)
    own = [number for number, line in enumerate(lines) if f'"chain":"{ended["chain"]}:'.encode() in line]
    cut = tmp_path / "cut"
    cut.write_bytes(b"".join(line for number, line in enumerate(lines) if number not in own[-2:]))
    findings = verified(server, [cut])["findings"]
    assert [(one["kind"], one["chain"]) for one in findings] == [("removed", ended["chain"])]


def kill(server: TokenServer, times: int) -> None:
    """Kill a worker and then the whole server at random times under load, again and again; verify what is left."""
    chance = random.Random(times)  # noqa: S311 - times of kills
    logs, jtis = [], set[str]()
    for number in range(times):
        with load(server) as some:
            asked = len(some)
            soon(lambda: len(some) > asked + 3)  # noqa: B023 - called in this round
            time.sleep(chance.uniform(0.0, 0.2))
            os.kill(chance.choice(server.daemon.children), signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 0.4))
            for pid in [*server.daemon.children, server.daemon.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        server.daemon.stop()
        jtis |= some
        logs.append(server.daemon.stdout.rename(server.folder / f"log.{number}"))
        server.daemon.start(server.is_ready)
    server.daemon.stop()
    assert jtis <= jtis_in(*logs)
    found = verified(server, [*logs, server.daemon.stdout])
    assert found["findings"] == []
    assert times < len(found["chains"]) <= (2 * WORKERS) * (times + 1)
    assert all(chain["first"] == 1 for chain in found["chains"])


def test_servers_that_are_killed(server: TokenServer) -> None:
    """A few times: at most the lines in progress are cut off, and no line is missed."""
    kill(server, 3)


@pytest.mark.nightly
def test_servers_that_are_killed_200_times(server: TokenServer) -> None:
    """The chain is valid after SIGKILL at 200 random times. See docs/design/threats.md#threat-99."""
    kill(server, 200)
