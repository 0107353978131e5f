"""`python -m bench.audit_chain`: what the chain of audit events costs under load, and how fast it is verified.

Two servers, without and with `audit.chain`, write to files and answer the same requests in turn, round by round. The
ratios are of responses a second, and of the CPU time of all worker processes for each request, which other work on the
machine disturbs less; `no chain again` is a second server without one, and shows what the comparison is worth. 1.00
means that the chain costs nothing, 0.97 that it costs 3 %. At the end `tokenserver audit verify` reads the result.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
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
    parser.add_argument("--seconds", type=int, default=2, help="length of one round")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ExitStack() as stack:
            servers = {
                side: stack.enter_context(
                    tokenserver(folder / side, workers=arguments.workers, more=more, output=folder / f"{side}.jsonl")
                )
                for side, more in SIDES.items()
            }
            for title, work in WORKS:
                _compare(title, work, servers, arguments.rounds, arguments.seconds)
        _verify(folder / "chain.jsonl", folder / "chain" / "keys")


def _compare(title: str, work: Work, servers: dict[str, Running], rounds: int, seconds: int) -> None:
    rates: dict[str, list[float]] = {side: [] for side in servers}
    costs: dict[str, list[float]] = {side: [] for side in servers}
    for server in servers.values():
        drive(server.url, work, 1)
    for number in range(rounds):
        sides = [*servers] if number % 2 else [*servers][::-1]
        for side in sides:
            before = _cpu(servers[side])
            measured = drive(servers[side].url, work, seconds)
            rates[side].append(measured.rate)
            costs[side].append((_cpu(servers[side]) - before) / measured.requests)
    for side in [*servers][1:]:
        rate = _ratios(rates["no chain"], rates[side])
        cost = _ratios(costs[side], costs["no chain"])
        print(f"{title:18} {side:16} rate {rate}   CPU {cost}   {statistics.median(costs[side]) * 1e6:6.1f} µs")


def _cpu(server: Running) -> float:
    return cpu.seconds(cpu.children(server.process.pid))


def _ratios(low: list[float], high: list[float]) -> str:
    """The median of the ratios of all rounds, with the quarters."""
    each = [other / one for one, other in zip(low, high, strict=True)]
    first, middle, last = statistics.quantiles(each, n=4)
    return f"{middle:.3f} ({first:.3f} - {last:.3f})"


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
