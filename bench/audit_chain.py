"""`python -m bench.audit_chain`: what the chain of audit events costs under load, and how fast it is verified.

Servers without and with `audit.chain`, several of each, write to files and answer the same requests, one server after
the other in a random order in each round. What is compared are the medians over all rounds and servers of one side: of
responses a second, and of the CPU time of all worker processes for each request, which other work on the machine
disturbs less. `no chain again` are further servers without one, and show what the comparison is worth. 1.00 means that
the chain costs nothing, 0.97 that it costs 3 %. At the end `tokenserver audit verify` reads what one server wrote.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from bench import cpu, load
from bench.load import Work, drive
from bench.servers import Running, tokenserver

WORKS = (("repeated", Work()), ("new repositories", load.new_repositories()))
SIDES = {"no chain": "", "chain": "audit: {chain: true}", "no chain again": ""}


def main() -> None:
    """Print the ratios, and the speed of a verification."""
    parser = argparse.ArgumentParser(prog="bench.audit_chain", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1, help="length of one round of one server")
    parser.add_argument("--servers", type=int, default=3, help="servers of each side")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ExitStack() as stack:
            servers = [
                (side, stack.enter_context(_server(folder / f"{side} {number}", more, arguments.workers)))
                for number in range(arguments.servers)
                for side, more in SIDES.items()
            ]
            for title, work in WORKS:
                _compare(title, work, servers, arguments.rounds, arguments.seconds)
        _verify(folder / "chain 0.jsonl", folder / "chain 0" / "keys")


def _server(folder: Path, more: str, workers: int) -> AbstractContextManager[Running]:
    return tokenserver(folder, workers=workers, more=more, output=folder.parent / f"{folder.name}.jsonl")


def _compare(title: str, work: Work, servers: list[tuple[str, Running]], rounds: int, seconds: int) -> None:
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    costs: dict[str, list[float]] = {side: [] for side in SIDES}
    for _, server in servers:
        drive(server.url, work, 1)
    for _ in range(rounds):
        for side, server in random.sample(servers, len(servers)):
            before = _cpu(server)
            measured = drive(server.url, work, seconds)
            rates[side].append(measured.rate)
            costs[side].append((_cpu(server) - before) / measured.requests * 1e6)
    plain_rate, plain_cost = statistics.median(rates["no chain"]), statistics.median(costs["no chain"])
    for side in SIDES:
        rate, cost = statistics.median(rates[side]), statistics.median(costs[side])
        print(
            f"{title:18} {side:16} {rate:8,.0f} a second ({rate / plain_rate:.3f})"
            f"   CPU {cost:6.1f} µs ({plain_cost / cost:.3f}), quarters {_quarters(costs[side])}"
        )


def _cpu(server: Running) -> float:
    return cpu.seconds(cpu.children(server.process.pid))


def _quarters(values: list[float]) -> str:
    first, _, last = statistics.quantiles(values, n=4)
    return f"{first:.1f} - {last:.1f}"


def _verify(file: Path, keys: Path) -> None:
    command = [sys.executable, "-m", "tokenserver", "audit", "verify", str(file), "--keys", str(keys)]
    begun = time.perf_counter()
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    took = time.perf_counter() - begun
    with file.open("rb") as log:
        count = sum(1 for _ in log)
    print(f"audit verify: exit code {found.returncode}, {count:,} lines in {took:.1f} s, {count / took:,.0f} a second")


if __name__ == "__main__":
    main()
