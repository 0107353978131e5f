"""`python -m bench.policies`: the cost of the number of rules: a decision, a load, and the memory of a process.

A tree has teams of ten rules each; every team has a namespace, a group and a file that a root file delegates to.
Decisions are measured in rounds interleaved between the sizes, so that a slow moment of the machine affects all of
them; every question is created right before it is asked, as for a request. Loads and memory are measured in separate
processes.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import Resource, Scope

RULES_OF_A_TEAM = 10
SIZES = (10, 1_000, 10_000, 100_000)
NOW = datetime(2027, 1, 31, tzinfo=UTC)
CONTEXT = Context("registry.example.com", None, NOW)


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(prog="bench.policies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2_000, help="decisions in one round")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="the largest number of rules")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load is not None:
        print(json.dumps(loaded(arguments.load)))
        return
    sizes = [size for size in SIZES if size <= arguments.largest]
    with tempfile.TemporaryDirectory() as folder:
        trees = {size: tree(Path(folder) / str(size), size) for size in sizes}
        loads = {size: load_in_a_process(path) for size, path in trees.items()}
        decisions = measure_decisions({size: load_policies(path, now=NOW) for size, path in trees.items()}, arguments)
    report(decisions, loads)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"decide_us": decisions, "load": loads}, indent=2) + "\n")


def tree(folder: Path, rules: int) -> Path:
    """Write a policy folder with that many rules, ten in each team's file."""
    teams = max(1, rules // RULES_OF_A_TEAM)
    (folder / "teams").mkdir(parents=True)
    entries = [f'  - {{file: teams/t{n}.yaml, repositories: ["t{n}/**"], actions: [pull, push]}}' for n in range(teams)]
    (folder / "company.yaml").write_text("version: 1\ndelegate:\n" + "\n".join(entries) + "\n")
    for number in range(teams):
        lines = ["version: 1", "groups:", f"  team: {{users: [u{number}], groups: [g{number}]}}", "allow:"]
        lines += [
            f'  - {{id: t{number}-{rule}, to: ["group:team"], repositories: ["t{number}/app{rule}/**"], role: writer}}'
            for rule in range(RULES_OF_A_TEAM)
        ]
        (folder / "teams" / f"t{number}.yaml").write_text("\n".join(lines) + "\n")
    return folder


def measure_decisions(sets: dict[int, PolicySet], arguments: argparse.Namespace) -> dict[int, dict[str, float]]:
    """Microseconds for one decision: always about one team, and about teams across the tree."""
    gc.collect()
    gc.freeze()  # the decision is measured, not garbage collection over five trees
    asked: dict[tuple[int, str], list[int]] = {}
    for size in sets:
        teams = max(1, size // RULES_OF_A_TEAM)
        asked[size, "one team"] = [0] * arguments.calls
        asked[size, "all teams"] = [number * 7919 % teams for number in range(arguments.calls)]
    times: dict[tuple[int, str], list[float]] = {key: [] for key in asked}
    for _ in range(arguments.rounds):
        for (size, what), teams_asked in asked.items():
            times[size, what].append(microseconds(sets[size], teams_asked))
    return {
        size: {what: round(statistics.median(times[size, what]), 2) for what in ("one team", "all teams")}
        for size in sets
    }


def microseconds(policies: PolicySet, teams: list[int]) -> float:
    """The average time of a decision over one question for each of `teams`, all of which are granted."""
    total = 0
    for team in teams:
        identity = Identity(f"u{team}", Kind.PASSWORD, "htpasswd", frozenset({"staff", f"g{team}"}))
        scope = Scope(Resource("repository", f"t{team}/app3/web"), frozenset({"pull", "push"}))
        start = time.perf_counter_ns()
        decision = decide(policies, identity, scope, CONTEXT)
        total += time.perf_counter_ns() - start
        assert decision.granted  # noqa: S101 - otherwise something else would be measured
    return total / len(teams) / 1000


def load_in_a_process(folder: Path) -> dict[str, float]:
    """Seconds and memory of a load in a fresh process."""
    command = [sys.executable, "-m", "bench.policies", "--load", str(folder)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def loaded(folder: Path) -> dict[str, float]:
    """Load twice, as a worker does at start and at a reload, and return the time and memory."""
    figures: dict[str, float] = {}
    policies: PolicySet | None = None
    for name in ("first", "again"):
        start = time.process_time()
        policies = load_policies(folder, now=NOW)
        figures[f"{name} s"] = round(time.process_time() - start, 2)
        figures[f"{name} peak MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    assert policies is not None  # noqa: S101 - kept alive until here
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        figures["resident MB"] = round(pages * resource.getpagesize() / 1024 / 1024, 1)
    return figures


def report(decisions: dict[int, dict[str, float]], loads: dict[int, dict[str, float]]) -> None:
    """Print the figures and their ratios to the smallest tree."""
    first = next(iter(decisions.values()))
    print(f"{'rules':>8} {'decide, one team':>24} {'decide, all teams':>24}")
    for size, times in decisions.items():
        cells = [f"{value:8.2f} us {value / first[what]:6.2f} times" for what, value in times.items()]
        print(f"{size:>8} {cells[0]:>24} {cells[1]:>24}")
    print()
    columns = list(next(iter(loads.values())))
    print(f"{'rules':>8} " + " ".join(f"{'load ' + column:>20}" for column in columns))
    for size, figures in loads.items():
        print(f"{size:>8} " + " ".join(f"{figures[column]:>20}" for column in columns))


if __name__ == "__main__":
    main()
