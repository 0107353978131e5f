"""`python -m bench.notifications`: reports of registries a second, and none lost while the receiver is killed.

The first table drives as many reports as are accepted, one each request as Distribution sends them: over connections
that stay, and over a connection for each, as Distribution 3.1 makes them; beside requests for tokens and a bare WSGI
function that is sent the same. Rounds are interleaved.

The second part sends 2,000 reports a second from 16 registries, each in order and each report until it is accepted, as
Distribution does. In the middle all processes of the server are killed, and started again after three seconds. Then
every report is looked for in the audit trail.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.load import Measured, Work, drive, login
from bench.servers import Running, port_of, tokenserver, wait_for, write, yardstick

SECRET = "0123456789abcdef" * 4
TYPE = "application/vnd.docker.distribution.events.v2+json"
TARGET = "/notifications/bench"
HEADERS = {"Authorization": f"Bearer {SECRET}", "Content-Type": TYPE}

ROUNDS, SECONDS = 3, 4
REGISTRIES, RATE, SENT_SECONDS, DOWN_SECONDS = 16, 2000, 20, 3.0


def main() -> None:
    """Print both parts."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        throughput(folder)
        restart(folder)


def throughput(folder: Path) -> None:
    """Print reports and tokens a second, and their share of the bare function."""
    with ExitStack() as stack:
        ours = stack.enter_context(tokenserver(folder / "rate", workers=2, users=1, cost=4, prepare=reporting))
        bare = stack.enter_context(yardstick("bare", 2))
        rows: dict[str, tuple[Running, Work]] = {
            "reports": (ours, reports()),
            "reports, a connection each": (ours, reports(closing=True)),
            "tokens, a login known": (ours, login("u0")),
            "bare function, reports": (bare, reports(path="/")),
            "bare, a connection each": (bare, reports(path="/", closing=True)),
        }
        found: dict[str, list[Measured]] = {name: [] for name in rows}
        for _ in range(ROUNDS):
            for name, (server, work) in rows.items():
                found[name].append(drive(server.url, work, SECONDS))
    for name, measured in found.items():
        rate = statistics.median(one.rate for one in measured)
        p99 = statistics.median(one.p99 for one in measured)
        print(f"{name:28} {rate:8,.0f} a second   99 of 100 within {p99:6.1f} ms", flush=True)


def reporting(config: Path) -> None:
    """Let the registry of a configuration report."""
    secret = config.parent / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    text = config.read_text()
    config.write_text(text.replace("{service: bench}", "{service: bench, notifications: {secret_file: secret}}"))


def event(identifier: str) -> dict[str, object]:
    """A push, as Distribution reports it."""
    return {
        "id": identifier,
        "timestamp": "2026-11-03T12:00:00.250123456Z",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "sha256:" + "0" * 64,
            "size": 1204,
            "length": 1204,
            "repository": "repo1/app",
            "url": "https://registry.example.com/v2/repo1/app/manifests/sha256:" + "0" * 64,
            "tag": "1.0",
        },
        "request": {
            "id": "4d8a6a35-0f6a-4e6a-8f1c-3f7c1f1f6d1c",
            "addr": "10.1.2.3:51234",
            "host": "registry.example.com",
            "method": "PUT",
            "useragent": "docker/28.5.2 go/go1.24 kernel/6.1 os/linux arch/amd64",
        },
        "actor": {"name": "u0"},
        "source": {"addr": "registry-0:5000", "instanceID": "8d1f3a3c-77a0-4f52-9a4c-1d6d3b2f8f0a"},
    }


def reports(path: str = TARGET, *, closing: bool = False) -> Work:
    """Reports with ids of their own."""
    before, after = json.dumps({"events": [event("ID")]}).split("ID", maxsplit=1)
    close = '  wrk.headers["Connection"] = "close"\n' if closing else ""
    return Work(
        path=path,
        lua=f"local before, after, number = {lua_text(before)}, {lua_text(after)}, 0\n"
        "local start = tostring({})\n"
        "init = function()\n"
        '  wrk.method = "POST"\n'
        f'  wrk.headers["Authorization"] = "Bearer {SECRET}"\n'
        f'  wrk.headers["Content-Type"] = "{TYPE}"\n'
        f"{close}"
        "end\n"
        "request = function()\n"
        "  number = number + 1\n"
        f'  return wrk.format(nil, "{path}", nil, before .. start .. os.time() .. number .. after)\n'
        "end\n",
    )


def lua_text(text: str) -> str:
    """A literal of Lua."""
    return f"[==[{text}]==]"


class Registry:
    """One registry: a queue in memory, sent in order by one thread, each report until it is accepted."""

    def __init__(self, number: int, port: int, due: list[float]) -> None:
        self.ids = [f"{number}-{index}" for index in range(len(due))]
        self.sent_again = 0
        self.longest_queue = 0.0
        self._port = port
        self._due = due
        self._thread = threading.Thread(target=self._run)
        self._connection: http.client.HTTPConnection | None = None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything is accepted."""
        self._thread.join()

    def _run(self) -> None:
        for identifier, due in zip(self.ids, self._due, strict=True):
            time.sleep(max(0.0, due - time.monotonic()))
            body = json.dumps({"events": [event(identifier)]}).encode()
            while not self._is_accepted(body):
                self.sent_again += 1
                time.sleep(0.2)
            self.longest_queue = max(self.longest_queue, time.monotonic() - due)

    def _is_accepted(self, body: bytes) -> bool:
        try:
            self._connection = self._connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            self._connection.request("POST", TARGET, body, HEADERS)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection = None
            return False
        return 200 <= answer.status < 400


def restart(folder: Path) -> None:
    """Print what became of the reports of a receiver that is killed."""
    config = write(folder / "restart", workers=2, users=1, cost=4)
    reporting(config)
    port, trail = port_of(config), folder / "audit.jsonl"
    server = started(config, port, trail)
    begin = time.monotonic() + 1
    each = RATE // REGISTRIES
    dues = [begin + index / each for index in range(each * SENT_SECONDS)]
    registries = [Registry(number, port, dues) for number in range(REGISTRIES)]
    try:
        for registry in registries:
            registry.start()
        time.sleep(begin + SENT_SECONDS / 2 - time.monotonic())
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        time.sleep(DOWN_SECONDS)
        server = started(config, port, trail)
        for registry in registries:
            registry.wait()
        seconds = time.monotonic() - begin
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    lines = [json.loads(line) for line in trail.read_text().splitlines() if line.endswith("}")]
    written = Counter(line["event_id"] for line in lines if line["event"] == "registry")
    sent = {identifier for registry in registries for identifier in registry.ids}
    lost = sent - written.keys()
    twice = sum(count - 1 for count in written.values())
    print(
        f"{len(sent):,} reports at {RATE:,} a second, receiver killed and gone for {DOWN_SECONDS:.0f} s: "
        f"{len(lost)} lost, {twice} written twice, {sum(one.sent_again for one in registries):,} sent again, "
        f"longest wait {max(one.longest_queue for one in registries):.1f} s, all accepted after {seconds:.1f} s"
    )
    if lost:
        sys.exit(1)


def started(config: Path, port: int, trail: Path) -> subprocess.Popen[bytes]:
    """The server, in a group of its own, which appends to the trail."""
    command = [sys.executable, "-m", "tokenserver", "serve", "--config", str(config)]
    with trail.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(f"http://127.0.0.1:{port}/healthz", process)
    return process


if __name__ == "__main__":
    main()
