"""Changing tokenserver.yaml of a running server with two workers."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.processes import free_port, run
from harness.server import Setup, TokenServer, password, serving
from harness.web import request

SERVICE = "registry.test"
LIVE_SECONDS = 2.0
SLACK = 1.5
POLICY = "version: 1\nallow:\n  - {id: all, to: [authenticated], repositories: ['**'], role: reader}\n...\n"
PEOPLE = {"ann": password()}
METRICS_PORT = free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    settings = {"server": {"workers": 2, "metrics": f"127.0.0.1:{METRICS_PORT}"}, "anonymous": False}
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
    with serving(tmp_path_factory.mktemp("configuration"), setup) as server:
        yield server


@pytest.fixture
def settings(server: TokenServer) -> Iterator[dict[str, Any]]:
    """The settings of the file, to be changed and written; afterwards the file is as it was, and in force."""
    text = server.config.read_text()
    yield yaml.safe_load(text)
    replace(server, text)
    eventually(lambda: notes(server) == {None})


def replace(server: TokenServer, text: str) -> None:
    other = server.config.with_name("other")
    other.write_text(text)
    os.replace(other, server.config)


def write(server: TokenServer, settings: dict[str, Any]) -> None:
    replace(server, yaml.safe_dump(settings))


def eventually(condition: Callable[[], bool], *, seconds: float = LIVE_SECONDS + SLACK) -> float:
    """Wait until it holds; returns the seconds that this took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - start


def notes(server: TokenServer) -> set[str | None]:
    """What the workers say about the configuration. Each answer is asked on a connection of its own."""
    return {server.request("GET", "/readyz").json().get("notes", {}).get("configuration") for _ in range(20)}


def pending(server: TokenServer) -> dict[str, float]:
    """The gauge of the metrics, by state."""
    found = re.findall(r'^tokenserver_configuration_pending\{state="(.*)"\} (\S+)$', metrics(server), re.MULTILINE)
    return {state: float(value) for state, value in found}


def metrics(server: TokenServer) -> str:
    return request(METRICS_PORT, "GET", "/metrics").body.decode()


def test_what_needs_a_restart_is_named(server: TokenServer, settings: dict[str, Any]) -> None:
    """In /readyz of every worker, in the metrics, by the doctor, and with one log line; the server stays ready."""
    settings["server"]["listen"] = f"127.0.0.1:{free_port()}"
    settings["server"]["workers"] = 3
    write(server, settings)
    text = "tokenserver.yaml has changed (server.listen, server.workers); this takes effect at the next restart"
    eventually(lambda: notes(server) == {text})
    assert server.request("GET", "/readyz").status == 200
    eventually(lambda: pending(server) == {"restart": 1, "rejected": 0})
    assert server.daemon.stderr.read_text().count(f"configuration: {text}") == 1
    assert text in doctor(server)


def doctor(server: TokenServer) -> str:
    """What the doctor of this installation prints."""
    command = server.command("doctor", "--config", server.config)
    return run(command, environment=server.environment, folder=server.folder).stdout


def test_a_faulty_file_stays_out(server: TokenServer, settings: dict[str, Any]) -> None:
    """The old one stays in force, and every worker says where the fault is."""
    replace(server, server.config.read_text() + "kyes: keys\n")
    line = server.config.read_text().count("\n")
    eventually(lambda: all(f"is faulty (tokenserver.yaml:{line})" in (note or "") for note in notes(server)))
    eventually(lambda: pending(server) == {"restart": 0, "rejected": 1})
    assert server.request("GET", "/readyz").status == 200
    assert server.ask(SERVICE, person="ann").status == 200


def test_a_replaced_worker_has_what_is_in_force(server: TokenServer, settings: dict[str, Any]) -> None:
    """A worker that dies while the file is faulty has a successor like the others."""
    replace(server, "nonsense: [\n")
    eventually(lambda: None not in notes(server))
    victim = children(server)[0]
    os.kill(int(victim), signal.SIGKILL)
    eventually(lambda: victim not in children(server) and workers(server) == 2, seconds=20)
    assert server.ask(SERVICE, person="ann").status == 200


def children(server: TokenServer) -> list[str]:
    """The processes of the workers."""
    return Path(f"/proc/{server.daemon.pid}/task/{server.daemon.pid}/children").read_text().split()


def workers(server: TokenServer) -> int:
    """How many workers are alive, by the metrics."""
    text = metrics(server)
    return int(float(re.findall(r"^tokenserver_workers (\S+)$", text, re.MULTILINE)[0]))


def test_the_line_for_a_hangup(server: TokenServer, settings: dict[str, Any]) -> None:
    """SIGHUP says what waits for a restart."""
    settings["server"]["workers"] = 4
    write(server, settings)
    eventually(lambda: None not in notes(server))
    server.daemon.signal(signal.SIGHUP)
    eventually(lambda: "without a signal; tokenserver.yaml has changed (server.workers)" in server.daemon.log)
