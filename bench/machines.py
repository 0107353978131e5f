"""`python -m bench.machines`: the cost of declared robots and workloads: loads, decisions and questions about them.

Each machine has a rule of its own, each robot a secret. Decisions are measured in CPU time and in turn between the
sizes, for clients that were created right before; a workload's token has eight claims. Questions are about a rule on
`teams/${group}/**` in a tree of many groups, each of a robot and a workload.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path

from bench.policies import CONTEXT, NOW
from tokenserver.identity import Identity
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.decide import decide
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.loading.loader import PolicyLoader, load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.policy.queries.who_can_below import holders_of_all, holdings
from tokenserver.policy.syntax.machines import robot_identity, workload_identity
from tokenserver.scopes import Resource, Scope

SIZES = ((10, 10), (10_000, 1_000), (10_000, 10_000))
"""Robots and workloads."""

GROUPS = (100, 1_000)

_ROBOT = '  ci-{0}: {{secrets: [{{id: a{0:011}, hash: "sha256:{0:064x}", expires: 2028-01-01}}]}}\n'
_WORKLOAD = "  job-{0}: {{from: github, claims: {{repository_id: {0}, ref: refs/heads/*}}}}\n"
_RULE = '  - {{id: {1}-{0}, to: ["{1}:{2}-{0}"], repositories: ["{1}s/{0}/**"], role: writer}}\n'
_OTHER_CLAIMS = {
    "ref": "refs/heads/main",
    "environment": "production",
    "repository_owner_id": "65",
    "actor": "ann",
    "event_name": "push",
    "runner_environment": "github-hosted",
}


def main() -> None:
    """Print a table, with each decision as a multiple of that in the smallest tree."""
    parser = argparse.ArgumentParser(prog="bench.machines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2_000, help="decisions in one round")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures: dict[tuple[int, int], dict[str, float]] = {}
    sets: dict[tuple[int, int], PolicySet] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for size in SIZES:
            sets[size], figures[size] = loaded(tree(Path(scratch) / "-".join(map(str, size)), *size))
    gc.collect()
    gc.freeze()  # the decision is measured, not garbage collection over the trees
    times: dict[tuple[tuple[int, int], str], list[float]] = {
        (size, sort): [] for size in SIZES for sort in ("robot", "workload")
    }
    for _ in range(arguments.rounds):
        for (size, sort), found in times.items():
            found.append(microseconds(sets[size], sort, size[sort == "workload"], arguments.calls))
    for (size, sort), found in times.items():
        figures[size][f"decide, {sort} us"] = round(statistics.median(found), 1)
    report(figures)
    with tempfile.TemporaryDirectory() as scratch:
        questions = {count: asked(Path(scratch), count) for count in GROUPS}
    print(f"\n{'groups':>8} {'diff s':>10} {'who-can s':>10}")
    for count, row in questions.items():
        print(f"{count:>8} {row['diff s']:>10} {row['who-can s']:>10}")
    if arguments.json is not None:
        rows = {f"{robots} robots, {workloads} workloads": row for (robots, workloads), row in figures.items()}
        rows |= {f"{count} groups of machines": row for count, row in questions.items()}
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def asked(folder: Path, count: int) -> dict[str, float]:
    """The CPU time of `policy diff` after a change of the rule, and of `policy who-can` below `teams/**`."""
    old, new = (
        load_policies(groups_tree(folder / f"{role}-{count}", count, role), now=NOW) for role in ("reader", "writer")
    )
    pattern = parse_pattern("teams/**")
    start = time.process_time()
    gains = diff(old, new, NOW).gains
    compared = time.process_time()
    found = holdings(new, "push", pattern, Given(CONTEXT.service, None, NOW))
    everywhere = holders_of_all(new, pattern, found)
    done = time.process_time()
    # Otherwise something else would be measured: people, robots and workloads gain; people and each machine may push.
    assert (len(gains), len(found), everywhere) == (3, 2 * count + 1, [])  # noqa: S101 - see above
    return {"diff s": round(compared - start, 2), "who-can s": round(done - compared, 2)}


def groups_tree(folder: Path, count: int, role: str) -> Path:
    """Write a policy folder with so many groups, each of a robot and a workload, and one rule for all of them."""
    folder.mkdir()
    parts = ["version: 1\nrobots:\n", *(f"  ci-{number}:\n" for number in range(count))]
    parts += ["workloads:\n", *map(_WORKLOAD.format, range(count)), "groups:\n"]
    parts += [f"  g{number}: {{robots: [ci-{number}], workloads: [job-{number}]}}\n" for number in range(count)]
    parts += [f'allow:\n  - {{id: teams, to: [everyone], repositories: ["teams/${{group}}/**"], role: {role}}}\n']
    (folder / "machines.yaml").write_text("".join(parts))
    return folder


def tree(folder: Path, robots: int, workloads: int) -> Path:
    """Write a policy folder with so many machines, each with a rule."""
    folder.mkdir()
    parts = ["version: 1\nrobots:\n", *map(_ROBOT.format, range(robots))]
    parts += ["workloads:\n", *map(_WORKLOAD.format, range(workloads)), "allow:\n"]
    parts += [_RULE.format(number, "robot", "ci") for number in range(robots)]
    parts += [_RULE.format(number, "workload", "job") for number in range(workloads)]
    (folder / "machines.yaml").write_text("".join(parts))
    return folder


def loaded(folder: Path) -> tuple[PolicySet, dict[str, float]]:
    """The policies, and the CPU time of a load and of a reload after one more file."""
    loader = PolicyLoader(folder)
    start = time.process_time()
    policies = loader.load(NOW)
    first = time.process_time() - start
    (folder / "more.yaml").write_text("version: 1\nrobots: {more: }\n")
    start = time.process_time()
    loader.load(NOW)
    again = time.process_time() - start
    return policies, {"load s": round(first, 2), "a file more s": round(again, 3)}


def microseconds(policies: PolicySet, sort: str, count: int, calls: int) -> float:
    """The average CPU time of a decision about machines across the tree, all of which are granted."""
    total = 0
    for call in range(calls):
        number = call * 7919 % count
        identity = client(sort, number)
        scope = Scope(Resource("repository", f"{sort}s/{number}/app"), frozenset({"pull", "push"}))
        start = time.process_time_ns()
        decision = decide(policies, identity, scope, CONTEXT)
        total += time.process_time_ns() - start
        assert decision.granted  # noqa: S101 - otherwise something else would be measured
    return total / calls / 1000


def client(sort: str, number: int) -> Identity:
    """A machine with this number."""
    if sort == "robot":
        return robot_identity(f"ci-{number}")
    claims = {**_OTHER_CLAIMS, "repository_id": str(number), "sub": f"repo:octo/{number}"}
    return workload_identity("github", frozenset(claims.items()))


def report(figures: dict[tuple[int, int], dict[str, float]]) -> None:
    """Print the figures and the ratios of the decisions to the smallest tree."""
    smallest = next(iter(figures.values()))
    print(f"{'robots':>8} {'workloads':>10} " + " ".join(f"{name:>28}" for name in smallest))
    for (robots, workloads), row in figures.items():
        cells = [
            f"{value} ({value / smallest[name]:.2f} times)" if name.startswith("decide") else str(value)
            for name, value in row.items()
        ]
        print(f"{robots:>8} {workloads:>10} " + " ".join(f"{cell:>28}" for cell in cells))


if __name__ == "__main__":
    main()
