"""`python -m bench.reload [--rules 10000]`: the effect of reloading many rules on requests.

One worker (or `--workers`) answers anonymous requests from a few connections, first with unchanged files and then while
its policy folder is reloaded repeatedly; the 99th percentiles of the latency are compared. It also prints how long a
change takes to go live, and the worker's memory: before, after, and peak. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATH = "/token?service=bench&scope=repository%3Apublic%2Fapp%3Apull"
RULES_A_FILE = 10


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(prog="bench.reload", description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--reloads", type=int, default=3)
    parser.add_argument("--changed", type=int, default=1, help="how many of the files change each time")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.002, help="seconds between two requests of a connection")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, metrics = free_port(), free_port()
        command = [sys.executable, "-m", "tokenserver"]
        config = write(folder, (port, metrics), arguments.rules, arguments.workers)
        subprocess.run([*command, "keys", "init", "--config", str(config)], check=True, stdout=subprocess.DEVNULL)
        log = folder / "log"
        with serving(config, port, log) as server:
            load = Load(port, arguments.connections, arguments.pause)
            calm = load.during(lambda: time.sleep(10))
            before = memory(server)
            live: list[float] = []
            busy = load.during(lambda: live.extend(reload(folder, metrics, arguments)))
            after = memory(server)
    print(
        f"{arguments.rules} rules, {arguments.reloads} reloads of {arguments.changed} changed files, "
        f"{arguments.connections} connections, {arguments.workers} worker(s)"
    )
    print(f"{'':14} {'requests':>9} {'p50 ms':>8} {'p99 ms':>8} {'p99.9':>8} {'worst':>8}")
    for title, times in (("calm", calm), ("with reloads", busy)):
        figures = " ".join(f"{1000 * quantile(times, part):8.2f}" for part in (0.5, 0.99, 0.999, 1))
        print(f"{title:14} {len(times):9} {figures}")
    print(f"p99 with reloads / calm: {quantile(busy, 0.99) / quantile(calm, 0.99):.2f}")
    print("a change is live after " + ", ".join(f"{seconds:.1f} s" for seconds in live))
    megabytes = (before["VmRSS"], after["VmRSS"], max(before["VmHWM"], after["VmHWM"]))
    print("memory of the worker: {:.0f} MB, after the reloads {:.0f} MB, at most {:.0f} MB".format(*megabytes))


def write(folder: Path, ports: tuple[int, int], rules: int, workers: int) -> Path:
    """A configuration with teams of ten rules each, a file for each team. `ports` are those of requests and metrics."""
    port, metrics = ports
    (folder / "policies").mkdir()
    for team in range(rules // RULES_A_FILE):
        (folder / "policies" / f"team-{team}.yaml").write_text(team_file(team, "writer"))
    (folder / "policies" / "public.yaml").write_text(
        "version: 1\nallow:\n  - {id: public, to: [everyone], repositories: ['public/**'], role: reader}\n...\n"
    )
    config = folder / "tokenserver.yaml"
    config.write_text(
        f"issuer: bench\nserver: {{listen: 127.0.0.1:{port}, url: http://localhost:{port}, workers: {workers},"
        f" metrics: 127.0.0.1:{metrics}}}\n"
        "registries: [{service: bench}]\nanonymous: true\npolicies: policies\nkeys: keys\n"
    )
    return config


def team_file(team: int, role: str) -> str:
    """Ten rules."""
    rules = "".join(
        f"  - {{id: t{team}-r{rule}, to: ['group:team-{team}'], role: {role}, "
        f"repositories: ['team-{team}/app-{rule}/**']}}\n"
        for rule in range(RULES_A_FILE)
    )
    return f"version: 1\nallow:\n{rules}...\n"


def reload(folder: Path, metrics: int, arguments: argparse.Namespace) -> Iterator[float]:
    """Change files and wait until they are live in all workers, several times; returns the seconds of each."""
    for turn in range(arguments.reloads):
        before = reloads(metrics)
        new = folder / "policies" / ".new"
        for team in range(arguments.changed):
            new.write_text(team_file(team, "reader" if turn % 2 == 0 else "writer"))
            os.replace(new, folder / "policies" / f"team-{team}.yaml")
        start = time.monotonic()
        while reloads(metrics) < before + arguments.workers and time.monotonic() < start + 120:
            time.sleep(0.05)
        yield time.monotonic() - start


def reloads(metrics: int) -> float:
    """How many reloads all workers together have had."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("tokenserver_policy_reloads_total "))


def memory(server: subprocess.Popen[bytes]) -> dict[str, float]:
    """Megabytes of the server's largest child, the worker: resident now, and peak."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii").split()
    found = [
        {
            line.split(":")[0]: int(line.split()[1]) / 1024
            for line in Path(f"/proc/{child}/status").read_text(encoding="utf-8").splitlines()
            if line.startswith(("VmRSS", "VmHWM"))
        }
        for child in children
    ]
    return max(found, key=lambda one: one.get("VmRSS", 0))


class Load:
    """Steady requests on some connections."""

    def __init__(self, port: int, connections: int, pause: float) -> None:
        self._port = port
        self._connections = connections
        self._pause = pause

    def during(self, work: Callable[[], None]) -> list[float]:
        """The seconds of each request while `work` ran."""
        stop = threading.Event()
        times: list[float] = []
        threads = [threading.Thread(target=self._ask, args=(stop, times)) for _ in range(self._connections)]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        return times

    def _ask(self, stop: threading.Event, times: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not stop.is_set():
            start = time.perf_counter()
            connection.request("GET", PATH)
            answer = connection.getresponse()
            json.loads(answer.read())
            times.append(time.perf_counter() - start)
            time.sleep(self._pause)
        connection.close()


@contextmanager
def serving(config: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running server; its log goes to a file, its audit events to /dev/null."""
    command = [sys.executable, "-m", "tokenserver", "serve", "--config", str(config)]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{PATH}", timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(log.read_text())
                time.sleep(0.1)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def quantile(times: list[float], part: float) -> float:
    """A quantile of the times."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


if __name__ == "__main__":
    main()
