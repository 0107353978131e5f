"""The audit trail of a running server: whole lines from several workers, and no token without one, whatever happens.

Standard output is a named pipe whose reader is slow, stops or goes away, and a file on a disk that is full.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from select import PIPE_BUF
from typing import Any

import canaries
import pytest
from harness import web
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.waiting import until

pytestmark = pytest.mark.alone

SERVICE = "registry2.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
WORKERS = 3
MAX_EVENT = 64 * 1024
DELAY_SECONDS = 2.0
SLACK_SECONDS = 1.5
"""What a busy machine adds to a delay."""

RECOVERY_SECONDS = 15.0

soon = partial(until, seconds=RECOVERY_SECONDS)


@dataclass
class Asked:
    """What clients got: the ids of their tokens, the statuses, and how long each took."""

    jtis: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def ask(self, server: TokenServer, target: str = TARGET, body: bytes | None = None) -> web.Answer:
        """One request; with a body it is a POST."""
        begun = time.monotonic()
        method = "GET" if body is None else "POST"
        answer = web.request(server.port, method, target, headers=web.FORM if body else None, body=body)
        self.seconds.append(time.monotonic() - begun)
        self.statuses.append(answer.status)
        if answer.status == 200:
            self.jtis.add(str(web.claims(answer.json()["access_token"])["jti"]))
        else:
            assert b"token" not in answer.body.replace(b"tokens", b"")
        return answer


def large_form(server: TokenServer, number: int, resources: int) -> bytes:
    """The form of a request about so many repositories with long names, as large as those of a mirror."""
    scopes = " ".join(f"repository:web/{number}-{index}/{'x' * 200}:pull,push,delete" for index in range(resources))
    return web.form(
        grant_type="password",
        client_id="t",
        service=SERVICE,
        username=KEEPER,
        password=server.people[KEEPER],
        scope=scopes,
    )


def exchanges(data: bytes) -> dict[str, list[dict[str, Any]]]:
    """The events by request id, the parts of each in their order. Every line is JSON and no longer than it may be."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in data.splitlines(keepends=True):
        assert line.endswith(b"\n")
        assert len(line) <= MAX_EVENT
        event = json.loads(line)
        if event["event"] == "exchange":
            found[event["request_id"]].append(event)
    for parts in found.values():
        parts.sort(key=lambda part: part.get("part", 1))
        assert [part.get("part", 1) for part in parts] == [*range(1, parts[0].get("parts", 1) + 1)]
    return found


def jtis(data: bytes) -> set[str]:
    """Of all events that can be read; a line that was cut off cannot, and neither hides another one."""
    found = set()
    for line in data.splitlines():
        with contextlib.suppress(ValueError):
            found.add(str(json.loads(line).get("jti")))
    return found


class Reader:
    """Reads a named pipe, as fast as `pace` says, while it may."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.data = b""
        self.chunk, self.pause = 65_536, 0.001
        self.may_read = threading.Event()
        self.may_read.set()
        self._end = threading.Event()
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._end.is_set():
            if self.may_read.wait(0.05):
                with contextlib.suppress(BlockingIOError):
                    self.data += os.read(self._descriptor, self.chunk)
                time.sleep(self.pause)

    def close(self) -> None:
        """End reading; whoever writes now finds nobody."""
        self._end.set()
        self._thread.join()
        os.close(self._descriptor)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """The reader of the server's standard output."""
    reader = Reader(tmp_path / "audit")
    yield reader
    with contextlib.suppress(OSError):
        reader.close()
    canaries.watch(reader.data, "the audit trail")


@pytest.fixture
def small(setup: Setup) -> Setup:
    """Several workers, each token signed anew, so that each has an id of its own."""
    settings = {"server": {"workers": WORKERS}, "token_reuse": 0}
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)


@pytest.fixture
def piped(small: Setup, reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server whose audit events go into the pipe."""
    into_pipe = ["sh", "-c", f'exec "$@" > {reader.path}', "sh"]
    with serving(tmp_path_factory.mktemp("piped"), small, prefix=into_pipe) as server:
        yield server
        reader.may_read.set()


@pytest.fixture
def server(small: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server whose audit events go into a file."""
    with serving(tmp_path_factory.mktemp("filed"), small) as server:
        yield server


def readiness(server: TokenServer) -> tuple[int, str]:
    """The status of `/readyz`, and what it says of the audit trail."""
    answer = server.request("GET", "/readyz")
    return answer.status, str(answer.json()["parts"]["audit"])


def missing(data: bytes) -> int:
    """How many events are missing, as the trail says."""
    gaps = [json.loads(line) for line in data.splitlines() if b'"audit_gap"' in line and line.endswith(b"}")]
    return sum(gap["events"] for gap in gaps)


def test_lines_of_several_workers_never_mix(piped: TokenServer, reader: Reader) -> None:
    """Long and short ones, through a pipe whose reader is slow; each is JSON, and says what its client got."""
    reader.chunk, reader.pause = 4096, 0.001
    asked = Asked()
    bodies = [large_form(piped, number, (2, 12, 40)[number % 3]) for number in range(96)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda body: asked.ask(piped, "/token", body), bodies))
        list(pool.map(lambda _: asked.ask(piped), range(96)))
    assert set(asked.statuses) <= {200, 503}
    assert len(asked.jtis) > 150
    soon(lambda: asked.jtis <= jtis(reader.data))
    found = exchanges(reader.data)
    assert {parts[0]["jti"] for parts in found.values() if "jti" in parts[0]} >= asked.jtis
    lengths = [len(line) for line in reader.data.splitlines()]
    assert min(lengths) < PIPE_BUF
    assert max(lengths) > 4 * PIPE_BUF


def test_the_log_in_the_same_place(small: Setup, reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With `2>&1`, as under a journal, no log line comes into the middle of an event."""
    reader.chunk, reader.pause = 4096, 0.001
    both = ["sh", "-c", f'exec "$@" > {reader.path} 2>&1', "sh"]
    asked = Asked()
    end = threading.Event()
    with serving(tmp_path_factory.mktemp("both"), small, prefix=both) as server:

        def log() -> None:
            while not end.wait(0.02):
                server.daemon.signal(signal.SIGHUP)  # each makes a line

        logs = threading.Thread(target=log)
        logs.start()
        bodies = [large_form(server, number, 40) for number in range(40)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda body: asked.ask(server, "/token", body), bodies))
        end.set()
        logs.join()
        soon(lambda: asked.jtis <= jtis(reader.data))
    lines = [line for line in reader.data.splitlines() if b"{" in line]
    events = [json.loads(line) for line in lines if line.startswith(b'{"time"')]
    assert len([event for event in events if event.get("message", "").startswith("SIGHUP")]) > 5
    assert len([event for event in events if event.get("jti") in asked.jtis]) >= len(asked.jtis) > 20
    assert [line for line in lines if not _is_json(line)] == []


def test_a_large_event_is_split(server: TokenServer) -> None:
    """By resource, under one request id; each part explains itself, and replaying the log finds the whole."""
    asked = Asked()
    answer = asked.ask(server, "/token", large_form(server, 1, 60))
    assert answer.status == 200
    data = server.daemon.stdout.read_bytes()
    request_id = str(answer.header("x-request-id"))
    parts = exchanges(data)[request_id]
    assert len(parts) > 1
    for part in parts:
        assert {part["jti"]} == asked.jtis
        assert (part["subject"], part["outcome"], part["registry"]) == (KEEPER, "granted", SERVICE)
        assert {rule["resource"] for rule in part["rules"]} == {scope.rpartition(":")[0] for scope in part["asked"]}
        assert part["granted"] == part["asked"]
    assert len({scope for part in parts for scope in part["asked"]}) == 60
    log = server.folder / "audit.jsonl"
    log.write_bytes(data)
    # The other events are about what was in force at the start.
    replayed = json.loads(server.run("policy", "replay", log, "--json", "--config", server.config).stdout)
    assert (replayed["decisions"], replayed["changed"], replayed["skipped"]) == (60, 0, {"another event": 4})


def test_a_reader_that_stops(piped: TokenServer, reader: Reader) -> None:
    """Nobody waits for longer than two seconds, it is said where an operator looks, and it ends by itself."""
    asked = Asked()
    asked.ask(piped)
    reader.may_read.clear()
    body = large_form(piped, 1, 40)
    until(lambda: asked.ask(piped, "/token", body).status == 503, seconds=60)
    assert max(asked.seconds) < DELAY_SECONDS + SLACK_SECONDS
    refused = asked.ask(piped)
    assert refused.status == 503
    assert refused.header("retry-after") is not None
    assert readiness(piped) == (503, "standard output takes no events: its reader does not read")
    assert piped.request("GET", "/healthz").status == 200
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        burst = list(pool.map(lambda _: asked.ask(piped).status, range(100)))
    assert set(burst) == {503}
    assert time.monotonic() - begun < 2 * (DELAY_SECONDS + SLACK_SECONDS), "they waited one behind the other"
    assert "the audit trail (standard output) takes no events: its reader does not read" in piped.daemon.log
    assert piped.daemon.log.count("takes no events") <= WORKERS * 3

    reader.may_read.set()
    soon(lambda: readiness(piped) == (200, "ok"))  # and no request was needed for it
    soon(lambda: b'"audit_gap"' in reader.data)
    assert asked.ask(piped).status == 200
    soon(lambda: asked.jtis <= jtis(reader.data))
    soon(lambda: missing(reader.data) == asked.statuses.count(503))
    assert exchanges(reader.data)
    soon(lambda: "the audit trail takes events again" in piped.daemon.log)


def test_a_reader_that_is_gone(piped: TokenServer, reader: Reader) -> None:
    """Without a request it is known, and whoever asks gets 503 immediately; another reader makes it well."""
    asked = Asked()
    asked.ask(piped)
    soon(lambda: asked.jtis <= jtis(reader.data))
    reader.close()
    soon(lambda: readiness(piped) == (503, "standard output takes no events: its reader is gone"))
    assert asked.ask(piped).status == 503
    assert asked.seconds[-1] < DELAY_SECONDS
    reading = os.open(reader.path, os.O_RDONLY | os.O_NONBLOCK)
    soon(lambda: readiness(piped) == (200, "ok"))
    assert asked.ask(piped).status == 200
    data = os.read(reading, 1 << 20)
    assert {event["jti"] for (event,) in exchanges(data).values() if "jti" in event} <= asked.jtis
    assert len(exchanges(data)) == 1
    os.close(reading)


def test_a_full_disk(server: TokenServer) -> None:
    """No token without its event, the fragment is ended before the next line, and it ends by itself."""
    asked = Asked()
    for _ in range(20):
        asked.ask(server)
    out = server.daemon.stdout
    full = out.stat().st_size + 3000
    for pid in server.daemon.children:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    soon(lambda: asked.ask(server).status == 503)
    for _ in range(10):
        assert asked.ask(server).status == 503
    assert out.stat().st_size == full
    soon(lambda: readiness(server) == (503, "standard output takes no events: File too large"))
    assert asked.jtis <= jtis(out.read_bytes())

    for pid in server.daemon.children:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    soon(lambda: readiness(server) == (200, "ok"))
    for _ in range(20):
        assert asked.ask(server).status == 200
    data = out.read_bytes()
    assert asked.jtis <= jtis(data)
    broken = [line for line in data.splitlines() if not _is_json(line)]
    assert len(broken) == 1
    assert data.index(broken[0]) + len(broken[0]) == full


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of one mebibyte")
def test_a_full_file_system(small: Setup, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same, where the kernel itself has no more room, and gets some."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        filler = disk / "filler"
        filler.write_bytes(bytes(1024 * 1024 - 3 * 4096))
        onto_disk = ["sh", "-c", f'exec "$@" > {disk}/audit', "sh"]
        with serving(tmp_path_factory.mktemp("disk"), small, prefix=onto_disk) as server:
            asked = Asked()
            soon(lambda: asked.ask(server).status == 503)
            assert len(asked.jtis) > 5
            soon(lambda: readiness(server)[1] == "standard output takes no events: No space left on device")
            filler.unlink()
            soon(lambda: readiness(server) == (200, "ok"))
            for _ in range(20):
                assert asked.ask(server).status == 200
        data = (disk / "audit").read_bytes()
        canaries.watch(data, "the audit trail")
        assert asked.jtis <= jtis(data)
        assert len([line for line in data.splitlines() if not _is_json(line)]) <= 1
    finally:
        subprocess.run(["umount", disk], check=True)


def test_workers_that_are_killed_under_load(server: TokenServer) -> None:
    """Every token that left has its line, which is whole; a killed worker leaves a fragment of its own at most."""
    asked = Asked()
    end = threading.Event()
    body = large_form(server, 1, 20)

    def load(number: int) -> None:
        while not end.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                asked.ask(server, "/token", body) if number % 2 else asked.ask(server)

    clients = [threading.Thread(target=load, args=(number,)) for number in range(8)]
    for client in clients:
        client.start()
    kills = 0
    for _ in range(5):
        time.sleep(0.7)
        for pid in server.daemon.children[:1]:
            os.kill(pid, signal.SIGKILL)
            kills += 1
        soon(lambda: len(server.daemon.children) == WORKERS)
    time.sleep(0.5)
    end.set()
    for client in clients:
        client.join()
    data = server.daemon.stdout.read_bytes()
    assert len(asked.jtis) > 100
    assert set(asked.statuses) == {200}
    assert asked.jtis <= jtis(data)
    assert len([line for line in data.splitlines() if not _is_json(line)]) <= kills


def _is_json(line: bytes) -> bool:
    with contextlib.suppress(ValueError):
        json.loads(line)
        return True
    return False


def test_a_change_while_nobody_reads(piped: TokenServer, reader: Reader) -> None:
    """A change takes effect, audit trail or not; its event follows, with the moment of the change."""
    asked = Asked()
    reader.may_read.clear()
    body = large_form(piped, 1, 40)
    until(lambda: asked.ask(piped, "/token", body).status == 503, seconds=60)
    policy = next(path for path in (piped.folder / "policies").rglob("*.yaml"))
    begin = datetime.now(UTC)
    policy.write_text("# changed\n" + policy.read_text())
    soon(lambda: "reloaded: new policies are live" in piped.daemon.log)
    end = datetime.now(UTC)
    time.sleep(DELAY_SECONDS + SLACK_SECONDS)
    reader.may_read.set()
    soon(lambda: len(reloads(reader.data)) > 0)
    time.sleep(DELAY_SECONDS)
    (event,) = reloads(reader.data)
    # Of the worker that could write the event first, which may have loaded the file a little later than another one.
    assert begin < datetime.fromisoformat(event["at"]) < end + timedelta(seconds=SLACK_SECONDS)
    assert datetime.fromisoformat(event["time"]) > end + timedelta(seconds=SLACK_SECONDS)
    assert asked.ask(piped).status == 200
    soon(lambda: event["new"] in {part["policy"] for parts in exchanges(reader.data).values() for part in parts})


def reloads(data: bytes) -> list[dict[str, Any]]:
    """The events about policies that were reloaded."""
    found = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if (event["event"], event.get("what"), event.get("cause")) == ("change", "policies", "reload"):
                found.append(event)
    return found
