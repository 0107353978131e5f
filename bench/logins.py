"""`python -m bench.logins`: one user who logs in again and again (bcrypt, cost 10), as a share of the anonymous path.

Both are answered by the same server in the same run; the rounds take turns.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

POLICY = """\
version: 1
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
"""
PATH = "/token?service=bench&scope=repository%3Apublic%2Fapp%3Apull"


def main() -> None:
    """Run both in turn and print a table."""
    parser = argparse.ArgumentParser(prog="bench.logins", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk is not installed; make real-servers installs it")
    rates: dict[str, list[float]] = {"anonymous": [], "login": []}
    password = secrets.token_urlsafe(12)
    basic = base64.b64encode(f"ann:{password}".encode()).decode()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), password, arguments.workers) as url:
        for _ in range(arguments.rounds):
            for name, header in (("anonymous", "X-Nobody: 1"), ("login", f"Authorization: Basic {basic}")):
                rates[name].append(measure(wrk, url + PATH, header, arguments.connections, arguments.seconds))
    report(rates, arguments.json)


def measure(wrk: str, url: str, header: str, connections: int, seconds: int) -> float:
    """Answers a second of one round; anything but 200 ends the run."""
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-H", header, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        sys.exit(f"{url} answered with errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found is not None, output  # noqa: S101 - wrk always prints it
    return float(found[1])


def report(rates: dict[str, list[float]], file: Path | None) -> None:
    """Print medians, spread and the share."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, title in (("anonymous", "GET /token, anonymous"), ("login", "GET /token, one user, cost 10")):
        print(f"{title:32} {medians[name]:8.0f} a second ({min(rates[name]):.0f} - {max(rates[name]):.0f})")
    print(f"{'share':32} {medians['login'] / medians['anonymous']:8.2f}")
    if file is not None:
        file.write_text(json.dumps({"medians": medians, "rounds": rates}, indent=2) + "\n")


@contextmanager
def server(folder: Path, password: str, workers: int) -> Iterator[str]:
    """A running server with one user and anonymous access; gives its URL."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    config = folder / "tokenserver.yaml"
    config.write_text(
        f"issuer: bench\nserver: {{listen: 127.0.0.1:{port}, url: http://localhost:{port}, workers: {workers}}}\n"
        "registries: [{service: bench}]\nanonymous: true\npolicies: policies\nkeys: keys\n"
        "authentication: [{htpasswd: {file: users.htpasswd}}]\n"
    )
    command = [sys.executable, "-m", "tokenserver"]
    users = [*command, "users", "set", "ann", "--file", str(folder / "users.htpasswd")]
    subprocess.run(users, check=True, input=password.encode(), stdout=subprocess.DEVNULL)
    keys = [*command, "keys", "init", "--config", str(config)]
    subprocess.run(keys, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen(
        [*command, "serve", "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_for(url: str) -> None:
    """Wait until `url` answers, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - a loopback URL of this run
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main()
