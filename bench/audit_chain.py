"""`python -m bench.audit_chain`: what the chain of audit events costs, and how fast it is verified.

1. In process: writing an event to a file, by trails without and with a chain in turn.
2. Under load: a server whose workers switch between such trails every few milliseconds (`bench.chain_switch`), while
   clients repeat the cheapest request, or ask for ever new repositories. Each block with a chain is compared with the
   block without one of the same round, whose order is random: CPU time of the workers for each request, and responses
   a second. What other work on the machine does to one block, it does to the other as well. `control` compares blocks
   of one kind with each other, and shows what the comparison is worth.
3. `tokenserver audit verify` reads what a server with a chain wrote.

Of all rounds, the median is printed with the interval that has it with a probability of 95 %, whatever the distribution
(order statistics). 1.00 means that the chain costs nothing, 0.97 that it costs 3 %.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import cpu, load
from bench.chain_switch import SLOTS, SwitchTable
from bench.load import Work, drive, driven
from bench.servers import Running, port_of, running, tokenserver, write
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_sink import DescriptorSink

WORKS = (("repeated", Work()), ("new repositories", load.new_repositories()))

FEW = 20
"""Requests of a block below which another program had the processors, and the round is left out."""

EVENTS = 50
"""Events of one block in process."""

EVENT = {
    "event": "exchange",
    "asked": ["repository:public/app:pull"],
    "policy": "3" * 64,
    "jti": "x" * 22,
    "fill": "x" * 400,
}


class Block(NamedTuple):
    """One block: microseconds of CPU time for each request, and requests a second."""

    cost: float
    rate: float


Round = Sequence[Block]
"""The blocks of a round, by slot."""


def main() -> None:
    """Print the ratios, and the speed of a verification."""
    parser = argparse.ArgumentParser(prog="bench.audit_chain", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="of each kind of requests")
    parser.add_argument("--milliseconds", type=int, default=30, help="length of one block")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _in_process(folder, arguments.rounds)
        _under_load(folder, arguments)
        _verify(folder, arguments.workers)


def _in_process(folder: Path, rounds: int) -> None:
    log = folder / "in process.jsonl"
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    sinks = (DescriptorSink(output), ChainedSink(output))
    trails = [AuditTrail(sink, now=time.time, policy=lambda: "") for sink in sinks]
    found: list[tuple[float, ...]] = []
    for _ in range(rounds):
        costs = [0.0] * len(trails)
        for number in random.sample(range(len(trails)), len(trails)):
            begun = time.process_time()
            for _ in range(EVENTS):
                trails[number].record(EVENT)
            costs[number] = (time.process_time() - begun) / EVENTS * 1e6
        found.append(tuple(costs))
        os.truncate(log, 0)
    os.close(output)
    without, more = [one[0] for one in found], [one[1] - one[0] for one in found]
    print(f"in process: an event takes {statistics.median(without):.2f} µs, with a chain {_shown(more, 2)} µs more")


def _under_load(folder: Path, arguments: argparse.Namespace) -> None:
    config = write(folder / "switched", workers=arguments.workers, more="audit: {chain: true}")
    table, log = SwitchTable(folder / "table"), folder / "switched.jsonl"
    command = [sys.executable, "-m", "bench.chain_switch", str(folder / "table"), "serve", "--config", str(config)]
    with running(command, port_of(config), output=log) as server:
        for title, work in WORKS:
            drive(server.url, work, 2)
            with driven(server.url, work):
                time.sleep(0.5)
                rounds = [_round(server, table, arguments.milliseconds / 1000, log) for _ in range(arguments.rounds)]
            _print(title, [one for one in rounds if one is not None])


def _round(server: Running, table: SwitchTable, seconds: float, log: Path) -> Round | None:
    workers, found = server.workers, dict[int, Block]()
    for slot in random.sample(range(len(SLOTS)), len(SLOTS)):
        table.numbers[0] = slot
        begun, used, events = time.monotonic(), cpu.exact_seconds(workers), table.events(workers)
        time.sleep(seconds)
        took, cost = time.monotonic() - begun, cpu.exact_seconds(workers) - used
        count = table.events(workers) - events
        if count < FEW:
            return None
        found[slot] = Block(cost / count * 1e6, count / took)
    os.truncate(log, 0)
    return [found[slot] for slot in range(len(SLOTS))]


def _print(title: str, rounds: Sequence[Round]) -> None:
    plain = statistics.median(one[0].cost for one in rounds), statistics.median(one[0].rate for one in rounds)
    print(f"{title}: {plain[0]:.1f} µs of CPU time and {plain[1]:,.0f} a second without a chain, {len(rounds)} rounds")
    ratios: tuple[tuple[str, Callable[[Block, Block], float]], ...] = (
        ("CPU time", lambda without, chained: without.cost / chained.cost),
        ("rate", lambda without, chained: chained.rate / without.rate),
    )
    for name, ratio in ratios:
        chain = [ratio(one[number], one[number + 1]) for one in rounds for number in (0, 2)]
        control = [ratio(one[number], one[number + 2]) for one in rounds for number in (0, 1)]
        print(f"  {name:8} {_shown(chain, 4)}, quarters {_quarters(chain)}; control {_shown(control, 4)}")


def _shown(values: Sequence[float], digits: int) -> str:
    """The median, with the interval that has it with a probability of 95 %."""
    ordered = sorted(values)
    middle, half = len(ordered) / 2, 0.98 * len(ordered) ** 0.5
    low, high = ordered[max(0, int(middle - half))], ordered[min(len(ordered) - 1, int(middle + half))]
    return f"{statistics.median(ordered):.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def _quarters(values: Sequence[float]) -> str:
    first, _, last = statistics.quantiles(values, n=4)
    return f"{first:.2f} - {last:.2f}"


def _verify(folder: Path, workers: int) -> None:
    log = folder / "chain.jsonl"
    with tokenserver(folder / "chain", workers=workers, more="audit: {chain: true}", output=log) as server:
        drive(server.url, Work(), 10)
    keys = folder / "chain" / "keys"
    command = [sys.executable, "-m", "tokenserver", "audit", "verify", str(log), "--keys", str(keys)]
    before = cpu.of_children()
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    took = cpu.of_children() - before
    with log.open("rb") as lines:
        count = sum(1 for _ in lines)
    print(f"audit verify: exit code {found.returncode}, {count:,} lines, {count / took:,.0f} for a second of CPU time")


if __name__ == "__main__":
    main()
