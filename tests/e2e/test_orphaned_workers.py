"""Workers whose master is killed: they answer what they have begun and end, also under load, and also if they hang.

A worker that stayed would hold the address, and answer by old policies. See docs/design/threats.md#threat-242.
"""

from __future__ import annotations

import http.client
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.waiting import until

from tokenserver.process.process_limits import ORPHAN_SIGNAL
from tokenserver.process.supervisor import GRACE_SECONDS, HANG_AT_STOP_SECONDS, MASTER_STOP_SECONDS

pytestmark = pytest.mark.waits

SERVICE = "registry2.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
WORKERS = 2
CLIENTS = 8
LATE = 8
"""How many seconds later than it should something may happen while the machine is busy."""

HANGS = """\
import ctypes, os, threading, time

def hang():
    ctypes.PyDLL(None).sleep(600)  # and keeps the GIL

def watch_master():
    while not os.path.exists("hang-master"):
        time.sleep(0.02)
    hang()

def watch():
    master = os.getppid()
    while not os.path.exists("hang-now") and not (os.path.exists("hang-alone") and os.getppid() != master):
        time.sleep(0.02)
    if os.path.exists("hang-alone"):
        time.sleep(2.0)
    hang()

os.register_at_fork(after_in_child=lambda: threading.Thread(target=watch, daemon=True).start())
threading.Thread(target=watch_master, daemon=True).start()
"""
"""A module that Python imports at its start: workers, or the master, hang when there is a file."""


@pytest.fixture
def small(setup: Setup) -> Setup:
    """What these servers are made of."""
    settings = {"server": {"workers": WORKERS}, "token_reuse": 0}
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)


def workers(server: TokenServer) -> list[int]:
    """The process ids of the server's workers."""
    text = Path(f"/proc/{server.daemon.pid}/task/{server.daemon.pid}/children").read_text()
    return [int(number) for number in text.split()]


def is_alive(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def load(port: int) -> Iterator[list[int]]:
    """Clients that ask for tokens all the time; the statuses of the answers."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", TARGET)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
            except (OSError, http.client.HTTPException):
                stop.wait(0.01)
            finally:
                connection.close()

    clients = [threading.Thread(target=ask, daemon=True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield statuses
    finally:
        stop.set()
        for client in clients:
            client.join(25)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.nightly)])
def test_none_is_left_under_load(times: int, small: Setup, tmp_path: Path) -> None:
    """The next server has the address a moment later, each time; what was answered was answered with a token."""
    with serving(tmp_path, small) as server:
        for _ in range(times):
            until(lambda: len(workers(server)) == WORKERS)
            orphans = workers(server)
            with load(server.port) as statuses:
                until(lambda: len(statuses) > 10 * CLIENTS)
                server.daemon.signal(signal.SIGKILL)
                until(lambda: not any(map(is_alive, orphans)), seconds=GRACE_SECONDS + LATE)  # noqa: B023 - the same
            assert set(statuses) == {200}
            server.daemon.stop()
            server.daemon.start(server.is_ready)
        assert "Timeout (" not in server.daemon.stderr.read_text()


@contextmanager
def slow_request(port: int) -> Iterator[socket.socket]:
    """A request whose form is not complete yet, which a worker finishes before it ends."""
    body = web.form(grant_type="password", client_id="t", service=SERVICE, username=KEEPER, password="wrong")
    kind = "Content-Type: application/x-www-form-urlencoded"
    head = f"POST /token HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head.encode() + b"\r\n\r\n" + body[:20])
        time.sleep(0.5)
        yield client


@pytest.mark.parametrize(
    ("file", "least", "says_where"),
    [
        pytest.param("hang-now", 0, False, id="hung before"),
        pytest.param("hang-alone", GRACE_SECONDS, True, id="hangs while it stops"),
    ],
)
def test_one_that_hangs_ends_too(file: str, least: float, says_where: bool, small: Setup, tmp_path: Path) -> None:
    """A thread holds the GIL, so that no other one learns of SIGTERM or of the time. If it began to stop before that,
    the log says what happens, and then where each thread is; if not, the kernel alone can end it.
    """
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(HANGS)
    one = replace(small, settings={"server": {"workers": 1}})
    with serving(tmp_path, one, prefix=["env", f"PYTHONPATH={modules}"]) as server, slow_request(server.port):
        (orphan,) = workers(server)
        (tmp_path / file).touch()
        time.sleep(0.5)
        killed = time.monotonic()
        server.daemon.signal(signal.SIGKILL)
        until(lambda: not is_alive(orphan), seconds=int(ORPHAN_SIGNAL) + LATE)
        assert time.monotonic() - killed >= least
        log = server.daemon.stderr.read_text()
        line = rf"the master process {server.daemon.pid} is gone: requests in progress are completed, for at most 20 s"
        assert bool(re.search(line, log)) == says_where, log
        timeout = f"Timeout (0:00:{HANG_AT_STOP_SECONDS})!\n"
        assert (timeout in log, " in hang\n" in log.partition(timeout)[2]) == (says_where, says_where)


def test_a_master_that_hangs_ends_too(small: Setup, tmp_path: Path) -> None:
    """When it should stop; with its worker, and with the place of each thread."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(HANGS)
    one = replace(small, settings={"server": {"workers": 1}})
    with serving(tmp_path, one, prefix=["env", f"PYTHONPATH={modules}"]) as server, slow_request(server.port):
        (worker,) = workers(server)
        server.daemon.signal(signal.SIGTERM)
        until(lambda: "stopping: requests" in server.daemon.stderr.read_text(), seconds=LATE)
        (tmp_path / "hang-master").touch()
        assert server.daemon.wait(MASTER_STOP_SECONDS + LATE) == 1
        until(lambda: not is_alive(worker), seconds=LATE)
        log = server.daemon.stderr.read_text()
        assert " in hang\n" in log.partition(f"Timeout (0:00:{MASTER_STOP_SECONDS})!\n")[2]


def test_what_it_has_begun_is_answered(small: Setup, tmp_path: Path) -> None:
    """As after SIGTERM; nothing is dumped."""
    one = replace(small, settings={"server": {"workers": 1}})
    with serving(tmp_path, one) as server, slow_request(server.port) as client:
        (orphan,) = workers(server)
        server.daemon.signal(signal.SIGKILL)
        time.sleep(3)
        body = web.form(grant_type="password", client_id="t", service=SERVICE, username=KEEPER, password="wrong")
        client.sendall(body[20:])
        assert client.recv(65536).startswith(b"HTTP/1.1 401 ")
        until(lambda: not is_alive(orphan), seconds=LATE)
        assert "is gone: requests in progress" in server.daemon.stderr.read_text()
        assert "Timeout (" not in server.daemon.stderr.read_text()
