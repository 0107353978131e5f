"""`python -m bench.scale`: how throughput scales: one worker and two, one server and two behind nginx.

Every server has one worker unless stated. The important figure is the ratio of medians of interleaved rounds of one
run, compared with the bare yardstick in the same arrangement. On a small machine the load generator, nginx and the
servers compete for cores, so two measures show whether the server or the machine is the limit:

* `throttled`: each worker only runs for a part of the time (it is stopped and continued in turn), so that cores are
  idle. Then only a shared resource could keep two of them from doubling the throughput.
* the CPU time of a request in the servers, nginx and wrk, and their share of all cores (others: everything else on the
  machine). If no core is idle, the sum of these costs is the whole explanation.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import cpu, e2e
from bench.load import Work, drive
from bench.servers import Running, program, tokenserver, yardstick

PART = 0.15
"""The fraction of time for which a throttled worker runs, so that two of them, nginx and wrk fit on two cores."""

SLICE = 0.04


PAIRS = (
    ("yardstick, 1 worker", "yardstick, 2 workers"),
    ("nginx + 1 yardstick", "nginx + 2 yardsticks"),
    ("1 worker", "2 workers"),
    ("nginx + 1 server", "nginx + 2 servers"),
    ("1 worker, throttled", "2 workers, throttled"),
    ("nginx + 1 server, throttled", "nginx + 2 servers, throttled"),
)
"""The arrangements that are compared."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One arrangement: its URL, its server processes, and its proxy processes."""

    title: str
    url: str
    servers: Sequence[int]
    proxies: Sequence[int] = ()
    part: float = 1.0


def main() -> None:
    """Run all arrangements in turn and print them."""
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="length of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    program("wrk")
    e2e.use("nginx")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        setups = list(arrangements(stack, folder))
        rounds: dict[str, list[dict[str, float]]] = {setup.title: [] for setup in setups}
        for _ in range(arguments.rounds):
            for setup in setups:
                rounds[setup.title].append(measured(setup, arguments))
    figures = {title: median_of(found) for title, found in rounds.items()}
    show(figures)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"cores": len(os.sched_getaffinity(0)), **figures}, indent=2) + "\n")


def arrangements(stack: ExitStack, folder: Path) -> Iterator[Setup]:
    """All arrangements, running."""
    from harness.proxy import shipped_nginx  # noqa: PLC0415 - importable once `e2e.use` ran

    def behind(name: str, servers: Sequence[Running], title: str, part: float = 1.0) -> Setup:
        place = folder / name
        place.mkdir()
        proxy = stack.enter_context(shipped_nginx(place, [port_of(server) for server in servers]))
        proxies = [proxy.daemon.pid, *cpu.children(proxy.daemon.pid)]
        workers = [worker for server in servers for worker in server.workers]
        return Setup(title, f"http://127.0.0.1:{proxy.port}", workers, proxies, part)

    bare = [stack.enter_context(yardstick("bare", workers)) for workers in (1, 2, 1)]
    yield Setup("yardstick, 1 worker", bare[0].url, bare[0].workers)
    yield Setup("yardstick, 2 workers", bare[1].url, bare[1].workers)
    yield behind("bare-1", [bare[0]], "nginx + 1 yardstick")
    yield behind("bare-2", [bare[0], bare[2]], "nginx + 2 yardsticks")
    # Every token is newly signed: the work that one would scale out for.
    ours = [
        stack.enter_context(tokenserver(folder / f"server-{number}", workers=workers, more="token_reuse: 0s"))
        for number, workers in enumerate((1, 2, 1))
    ]
    yield Setup("1 worker", ours[0].url, ours[0].workers)
    yield Setup("2 workers", ours[1].url, ours[1].workers)
    yield behind("ours-1", [ours[0]], "nginx + 1 server")
    yield behind("ours-2", [ours[0], ours[2]], "nginx + 2 servers")
    yield Setup("1 worker, throttled", ours[0].url, ours[0].workers, (), PART)
    yield Setup("2 workers, throttled", ours[1].url, ours[1].workers, (), PART)
    yield behind("part-1", [ours[0]], "nginx + 1 server, throttled", PART)
    yield behind("part-2", [ours[0], ours[2]], "nginx + 2 servers, throttled", PART)


def measured(setup: Setup, arguments: argparse.Namespace) -> dict[str, float]:
    """One round: requests a second, and the CPU time by process group."""
    work = Work(connections=arguments.connections)
    before = cpu.seconds(setup.servers), cpu.seconds(setup.proxies), cpu.of_children(), cpu.busy()
    with throttled(setup.servers, setup.part):
        found = drive(setup.url, work, arguments.seconds)
    after = cpu.seconds(setup.servers), cpu.seconds(setup.proxies), cpu.of_children(), cpu.busy()
    servers, proxies, generator, busy = (now - then for now, then in zip(after, before, strict=True))
    thousands = found.requests / 1000
    whole = arguments.seconds * len(os.sched_getaffinity(0))
    return {
        "rate": found.rate,
        "server_ms": servers / thousands,
        "nginx_ms": proxies / thousands,
        "wrk_ms": generator / thousands,
        "server_cores": servers / whole,
        "nginx_cores": proxies / whole,
        "wrk_cores": generator / whole,
        "others_cores": max(0.0, busy - servers - proxies - generator) / whole,
    }


@contextmanager
def throttled(processes: Sequence[int], part: float) -> Iterator[None]:
    """Let processes run only for this fraction of the time, in turn, for the duration of the block."""
    if part >= 1:
        yield
        return
    over = threading.Event()

    def alternate(process: int, delay: float) -> None:
        os.kill(process, signal.SIGSTOP)
        over.wait(delay)
        while not over.is_set():
            os.kill(process, signal.SIGCONT)
            over.wait(SLICE * part)
            os.kill(process, signal.SIGSTOP)
            over.wait(SLICE * (1 - part))
        os.kill(process, signal.SIGCONT)

    threads = [
        threading.Thread(target=alternate, args=(process, SLICE * number / len(processes)))
        for number, process in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def median_of(rounds: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The medians of all figures, and all rates, to show their spread."""
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return {**medians, "rates": [round(one["rate"]) for one in rounds]}


def show(figures: dict[str, dict[str, Any]]) -> None:
    """Print the table and the ratios."""
    columns = ("server", "nginx", "wrk")
    print(f"{'':28} {'':>9} {'of the':>9}   {'CPU ms a request':^23}   {'share of all cores':^31}")
    print(
        f"{'':28} {'a second':>9} {'yardstick':>9}   "
        + " ".join(f"{name:>7}" for name in columns)
        + "   "
        + " ".join(f"{name:>7}" for name in (*columns, "others"))
    )
    for title, found in figures.items():
        share = found["rate"] / figures[yardstick_of(title)]["rate"]
        costs = " ".join(f"{found[f'{name}_ms']:7.3f}" for name in columns)
        cores = " ".join(f"{found[f'{name}_cores']:7.0%}" for name in (*columns, "others"))
        print(f"{title:28} {found['rate']:9,.0f} {share:9.2f}   {costs}   {cores}")
    print()
    for one, two in PAIRS:
        left = 1 - sum(figures[two][f"{name}_cores"] for name in (*columns, "others"))
        ratio = figures[two]["rate"] / figures[one]["rate"]
        print(f"{two + ' / ' + one:59} {ratio:5.2f}   (of all cores {max(0.0, left):.0%} was left)")


def yardstick_of(title: str) -> str:
    """The yardstick in the same arrangement, never throttled."""
    plain = title.removesuffix(", throttled").replace("servers", "yardsticks").replace("server", "yardstick")
    return plain if "yardstick" in plain else f"yardstick, {plain}"


def port_of(server: Running) -> int:
    """Where it listens."""
    return int(server.url.rpartition(":")[2])


if __name__ == "__main__":
    main()
