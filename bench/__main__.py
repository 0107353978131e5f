"""`make bench`: how many tokens a second, beside a bare WSGI function and a no-op Flask route in the same run.

Every server runs with the same number of workers on the same machine, and the load generator (wrk) beside them.
The rounds are interleaved, so that a slow moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PATH = "/token?service=bench&scope=repository%3Apublic%2Fapp%3Apull"

POLICY = """\
version: 1
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: team-a, to: ["group:a"], repositories: ["a/**"], role: writer}
  - {id: team-b, to: ["group:b"], repositories: ["b/**"], role: writer}
"""


def main() -> None:
    """Run all servers in turn and print a table."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk is not installed; make real-servers installs it")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {
            "bare": stack.enter_context(yardstick("bare", arguments.workers)),
            "flask": stack.enter_context(yardstick("flask", arguments.workers)),
        }
        for algorithm in ("ES256", "RS256"):
            urls[algorithm] = stack.enter_context(tokenserver(folder / algorithm, algorithm, arguments.workers))
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(arguments.rounds):
            for name, url in urls.items():
                rates[name].append(measure(wrk, url, arguments.connections, arguments.seconds))
    report(rates, arguments.json)


def measure(wrk: str, url: str, connections: int, seconds: int) -> float:
    """Answers a second of one round; anything but 200 ends the run."""
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", url + PATH]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        sys.exit(f"{url} answered with errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found is not None, output  # noqa: S101 - wrk always prints it
    return float(found[1])


def report(rates: dict[str, list[float]], file: Path | None) -> None:
    """Print medians, spread and ratios."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    titles = {
        "bare": "yardstick: bare WSGI function",
        "flask": "yardstick: no-op Flask route",
        "ES256": "GET /token, anonymous, ES256",
        "RS256": "GET /token, anonymous, RS256",
    }
    print(f"{'what':32} {'per second':>10} {'spread':>15} {'of bare':>8} {'of Flask':>8}")
    for name, values in rates.items():
        spread = f"{min(values):.0f} - {max(values):.0f}"
        of_bare, of_flask = medians[name] / medians["bare"], medians[name] / medians["flask"]
        print(f"{titles[name]:32} {medians[name]:10.0f} {spread:>15} {of_bare:8.2f} {of_flask:8.2f}")
    if file is not None:
        file.write_text(json.dumps({"medians": medians, "rounds": rates}, indent=2) + "\n")


@contextmanager
def yardstick(name: str, workers: int) -> Iterator[str]:
    """A running yardstick; gives its URL."""
    port = free_port()
    with running([sys.executable, "-m", "bench.yardsticks", name, str(port), str(workers)], port) as url:
        yield url


@contextmanager
def tokenserver(folder: Path, algorithm: str, workers: int) -> Iterator[str]:
    """A running server with three rules and anonymous access; gives its URL."""
    port = free_port()
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    config = folder / "tokenserver.yaml"
    config.write_text(
        f"issuer: bench\nserver: {{listen: 127.0.0.1:{port}, url: http://localhost:{port}, workers: {workers}}}\n"
        "registries: [{service: bench}]\nanonymous: true\npolicies: policies\nkeys: keys\n"
    )
    command = [sys.executable, "-m", "tokenserver"]
    keys = [*command, "keys", "init", "--config", str(config), "--algorithm", algorithm]
    subprocess.run(keys, check=True, stdout=subprocess.DEVNULL)
    with running([*command, "serve", "--config", str(config)], port) as url:
        yield url


@contextmanager
def running(command: list[str], port: int) -> Iterator[str]:
    """A server process that answers on `port`; its output goes nowhere, as audit events to a fast disk would."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url + PATH)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_for(url: str) -> None:
    """Wait until `url` answers, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - a loopback URL of this run
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    """A port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


main()
