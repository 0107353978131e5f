"""Worker processes that are killed, hang, do not start, or have no descriptors and no time left.

See docs/design/threats.md#fault-23, docs/design/threats.md#fault-24, docs/design/threats.md#fault-25,
docs/design/threats.md#fault-26 and docs/design/threats.md#fault-40.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.arrivals import Stream, arrive, get, steady
from harness.own_time import OwnTime
from harness.processes import free_port, is_alive, run
from harness.registries import KEEPER
from harness.replica import asking
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS, until

from tokenserver.process.process_limits import FILES_KEPT_BACK
from tokenserver.process.respawn_policy import HANG_SECONDS, HOPELESS

pytestmark = pytest.mark.waits

TARGET = web.token_target("registry3.test", ["repository:public/x:pull"])
WORKERS = 2
KILLS = HOPELESS + 1
SECONDS = PATIENCE_SECONDS


@pytest.fixture
def small(setup: Setup) -> Setup:
    """What these servers are made of."""
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": WORKERS}})


@pytest.fixture
def server(small: Setup, tmp_path: Path) -> Iterator[TokenServer]:
    """A server of its own with two workers."""
    with serving(tmp_path, small) as server:
        yield server


def test_a_killed_worker_is_replaced_every_time(server: TokenServer) -> None:
    """Killed again and again, also one that has just come; a client that tries again never fails.

    See docs/design/threats.md#fault-23.
    """
    with asking(server.port, TARGET, tries=6) as found:
        for _ in range(KILLS):
            victim = server.daemon.children[-1]
            os.kill(victim, signal.SIGKILL)
            until(lambda: victim not in server.daemon.children and len(server.daemon.children) == WORKERS)  # noqa: B023 - called at once
            time.sleep(1.0)
    assert [one for one in found if one != 200] == []
    assert len(found) > 100


def test_a_hanging_worker_is_ended_and_the_other_serves(server: TokenServer) -> None:
    """Stopped by a signal, as if it were in a dead lock; what it has in its hands is lost, nothing else.

    See docs/design/threats.md#fault-24.
    """
    until(lambda: server.request("GET", "/readyz").status == 200)
    time.sleep(1.5)  # both have given a sign of life
    victim = server.daemon.children[0]
    os.kill(victim, signal.SIGSTOP)
    own, start = OwnTime(server.daemon.pid), time.monotonic()
    tokens = Stream(get(TARGET, "Connection: close"), steady(50), is_new_each_time=True)
    arrive(server.port, [tokens], 3.0)
    # The kernel gives each worker its part of the connections; those of the hanging one wait until it is ended.
    assert tokens.statuses[200] > 30
    until(lambda: victim not in server.daemon.children)
    assert own.seconds < 30
    assert time.monotonic() - start > HANG_SECONDS / 2
    until(lambda: len(server.daemon.children) == WORKERS)
    assert "gave no sign of life" in server.daemon.log
    assert [server.request("GET", TARGET).status for _ in range(20)] == [200] * 20


def test_a_worker_that_does_not_start_does_not_end_the_other(server: TokenServer) -> None:
    """A policy went bad; who has read it before serves on, and the other is back when it is mended.

    See docs/design/threats.md#fault-25.
    """
    policy = server.folder / "policies" / "root.yaml"
    good = policy.read_text()
    time.sleep(3.5)  # both have served
    policy.write_text("nonsense: [")
    victim, other = server.daemon.children
    os.kill(victim, signal.SIGKILL)
    until(lambda: server.daemon.log.count("Unexpected exit from worker") >= 3)
    assert other in server.daemon.children
    assert server.request("GET", TARGET).status == 200
    policy.write_text(good)
    until(lambda: len(server.daemon.children) == WORKERS)


def test_where_no_worker_starts_the_server_ends(server: TokenServer) -> None:
    """With exit code 1, after a few tries (docs/design/threats.md#fault-25)."""
    time.sleep(3.5)  # both have served
    (server.folder / "policies" / "root.yaml").write_text("nonsense: [")
    for victim in server.daemon.children:
        os.kill(victim, signal.SIGKILL)
    assert server.daemon.wait(SECONDS) == 1
    assert server.daemon.log.count("Unexpected exit from worker") < 20
    assert "a worker cannot start: " in server.daemon.log
    assert "Traceback" not in server.daemon.log


def test_a_young_worker_that_serves_keeps_the_server(server: TokenServer) -> None:
    """One worker fails again and again, and the other has only just come, but serves: nothing is given up.

    See docs/design/threats.md#fault-25.
    """
    time.sleep(3.5)  # both have served
    failing, other = server.daemon.children

    def replaced(victim: int) -> int:
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in server.daemon.children and len(server.daemon.children) == WORKERS)
        return server.daemon.children[-1]

    failing = replaced(failing)
    failing = replaced(failing)
    failing = replaced(failing)
    mark = server.daemon.log.count("Unexpected exit from worker")
    other = replaced(other)
    until(server.is_ready)
    os.kill(failing, signal.SIGKILL)
    until(lambda: server.daemon.log.count("Unexpected exit from worker") > mark + 1)
    until(lambda: len(server.daemon.children) == WORKERS)
    assert server.daemon.is_running
    assert other in server.daemon.children
    assert server.request("GET", TARGET).status == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_workers_end_with_their_master(server: TokenServer, number: signal.Signals) -> None:
    """However it ended: no worker serves an old configuration, and the address is free for the next server."""
    until(lambda: server.request("GET", "/readyz").status == 200)
    orphans = server.daemon.children
    assert len(orphans) == WORKERS
    server.daemon.signal(number)
    until(lambda: not any(is_alive(worker) for worker in orphans), seconds=10)
    server.daemon.stop()
    server.daemon.start(server.is_ready)
    assert server.request("GET", TARGET).status == 200


def test_an_address_in_use_is_tried_again(server: TokenServer) -> None:
    """The exit code is one after which the shipped unit restarts; that of faulty files is not."""
    command = server.command("serve", "--config", server.config)
    second = run(command, environment=server.environment, folder=server.folder)
    assert "Address already in use" in second.text
    server.config.write_text("nonsense: [")
    faulty = run(command, environment=server.environment, folder=server.folder)
    unit = (Path(__file__).parents[2] / "deploy" / "tokenserver.service").read_text()
    assert "\nRestart=on-failure\n" in unit
    prevented = {int(code) for line in re.findall(r"RestartPreventExitStatus=(.*)", unit) for code in line.split()}
    assert (second.code in prevented, second.code, faulty.code in prevented) == (False, 1, True)


def test_no_more_connections_than_descriptors(small: Setup, tmp_path: Path) -> None:
    """120 idle connections and 64 descriptors: a changed policy is still read, and all is well when they leave.

    See docs/design/threats.md#fault-26.
    """
    few = ["prlimit", "--nofile=64:64"]
    metrics = free_port()
    small.settings["server"]["metrics"] = f"127.0.0.1:{metrics}"
    reloaded = f"tokenserver_policy_reloads_total {WORKERS}.0"
    with serving(tmp_path, small, prefix=few) as server:
        with ExitStack() as idle:
            for _ in range(120):
                idle.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            time.sleep(0.5)
            for worker in server.daemon.children:
                assert len(list(Path(f"/proc/{worker}/fd").iterdir())) <= 64
            policy = server.folder / "policies" / "root.yaml"
            policy.write_text(policy.read_text().replace("actions: [pull]}", "actions: [pull, push]}"))
            until(lambda: reloaded in web.request(metrics, "GET", "/metrics").body.decode())
        assert server.daemon.log.count("reloaded: new policies") == 1
        start = time.monotonic()
        until(lambda: web.request(server.port, "GET", TARGET).status == 200)
        assert time.monotonic() - start < 2
    assert 0 < 64 - FILES_KEPT_BACK < 64


def test_all_descriptors_that_may_be_had_are_taken(server: TokenServer) -> None:
    """The usual limit of 1,024 is raised to the hard one, without asking anybody."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = Path(f"/proc/{server.daemon.children[0]}/limits").read_text()
    soft = next(int(line.split()[3]) for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == min(hard, 65_536)


@pytest.mark.alone
def test_a_busy_machine(server: TokenServer) -> None:
    """Other programs want all cores as well; everybody is answered, health checks too.

    See docs/design/threats.md#fault-40.
    """
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        tokens = Stream(get(TARGET, "Connection: close"), steady(200), is_new_each_time=True)
        health = Stream(get("/healthz", "Connection: close"), steady(10), is_new_each_time=True)
        arrive(server.port, [tokens, health], 4.0)
    finally:
        for one in busy:
            one.kill()
            one.wait()
    assert set(health.statuses) == {200}
    assert set(tokens.statuses) <= {200, 503}
    assert tokens.statuses[200] > 100


@pytest.mark.alone
@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        pytest.param(get("/token", "X: " + "a" * 600_000), {400, 431}, id="a header of 600 kB"),
        pytest.param(get("/token", *(f"X-{number}: a" for number in range(1000))), {400, 431}, id="1,000 headers"),
        pytest.param(get("/token?service=" + "a" * 70_000), {400, 414}, id="a long URL"),
        pytest.param(
            get(web.token_target("registry3.test", [f"repository:a/{number}:pull" for number in range(1_500)])),
            {400, 414},
            id="1,500 scopes",
        ),
    ],
)
def test_too_large(server: TokenServer, request_bytes: bytes, statuses: set[int]) -> None:
    """Refused quickly, a thousand times, and nothing of it stays in memory (docs/design/threats.md#fault-28)."""

    def ask(times: float) -> set[int]:
        stream = Stream(request_bytes, steady(times), is_new_each_time=True)
        arrive(server.port, [stream], 1.0)
        # Where the refusal comes before all was sent, the connection may be reset before it is read.
        return set(stream.statuses) - {0}

    def memory() -> int:
        return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) * 4 for one in server.daemon.children)

    found = ask(200) | ask(200)
    before = memory()
    for _ in range(3):
        found |= ask(200)
    assert found <= statuses
    assert memory() - before < 20_000, "kilobytes"
    assert server.request("GET", TARGET).status == 200
