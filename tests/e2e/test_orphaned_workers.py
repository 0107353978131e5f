"""Workers whose master is killed: they answer what they have begun and end, also under load, and also if they hang.

A worker that stayed would hold the address, and answer by old policies. See docs/design/threats.md#threat-242.
"""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.processes import is_alive
from harness.registries import KEEPER
from harness.replica import asking
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


def answered(found: list[int | str]) -> list[int]:
    """The statuses; a request that got no answer, since there was nobody, has none."""
    return [one for one in found if isinstance(one, int)]


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.nightly)])
def test_none_is_left_under_load(times: int, small: Setup, tmp_path: Path) -> None:
    """The next server has the address a moment later, each time; what was answered was answered with a token."""
    with serving(tmp_path, small) as server:
        for _ in range(times):
            until(lambda: len(server.daemon.children) == WORKERS)
            orphans = server.daemon.children
            with asking(server.port, TARGET, CLIENTS) as found:
                until(lambda: len(answered(found)) > 10 * CLIENTS)
                server.daemon.signal(signal.SIGKILL)
                until(lambda: not any(map(is_alive, orphans)), seconds=GRACE_SECONDS + LATE)  # noqa: B023 - the same
            assert set(answered(found)) == {200}
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


@contextmanager
def serving_until_it_hangs(folder: Path, setup: Setup) -> Iterator[tuple[TokenServer, int]]:
    """A server with the module `HANGS` and one worker, whose process id comes with it; that has a slow request."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(HANGS)
    one = replace(setup, settings={"server": {"workers": 1}})
    with serving(folder, one, prefix=["env", f"PYTHONPATH={modules}"]) as server, slow_request(server.port):
        (worker,) = server.daemon.children
        yield server, worker


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
    with serving_until_it_hangs(tmp_path, small) as (server, orphan):
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
    with serving_until_it_hangs(tmp_path, small) as (server, worker):
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
        (orphan,) = server.daemon.children
        server.daemon.signal(signal.SIGKILL)
        time.sleep(3)
        body = web.form(grant_type="password", client_id="t", service=SERVICE, username=KEEPER, password="wrong")
        client.sendall(body[20:])
        assert client.recv(65536).startswith(b"HTTP/1.1 401 ")
        until(lambda: not is_alive(orphan), seconds=LATE)
        assert "is gone: requests in progress" in server.daemon.stderr.read_text()
        assert "Timeout (" not in server.daemon.stderr.read_text()
