"""`python -m bench.every_word`: what a decision costs in trees that use every word of the policy language.

Of the ten rules of each team, some have conditions, and others have exceptions, `not`, a capture, `${user}` or
`${group}` as a segment or a part of one, or a wildcard in front; the teams' groups include others. Each tree is
measured beside a plain one of the same size (`bench.policies`), in turn and in CPU time, and every figure is printed as
a ratio to the smallest plain tree.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path

from bench.policies import CONTEXT, NOW, RULES_OF_A_TEAM, tree
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import Resource, Scope

SIZES = (10, 1_000, 10_000, 100_000)

_TEAM = """\
version: 1
groups:
  core: {{users: [u{0}], groups: [g{0}]}}
  guests: {{users: [v{0}]}}
  team: {{includes: [core, guests]}}
allow:
  - {{id: t{0}-app3, to: ["group:team"], repositories: ["t{0}/app3/**"], role: writer}}
  - {{id: t{0}-own, to: ["group:team"], repositories: ["t{0}/${{user}}/**", "t{0}/${{user}}-*"], role: maintainer}}
  - {{id: t{0}-each, to: [authenticated], repositories: ["t{0}/${{group}}/**", "t{0}/*-${{group}}"], role: reader}}
  - {{id: t{0}-part, to: ["group:reg-{{app}}-rw"], repositories: ["t{0}/${{app}}/**", "t{0}/x-${{app}}"], role: writer}}
  - id: t{0}-in
    to: ["group:core"]
    repositories: ["t{0}/**"]
    not: ["t{0}/secret/**"]
    role: reader
    when: {{not_from: [192.0.2.0/24]}}
  - {{id: t{0}-out, to: [everyone], except: ["group:guests"], repositories: ["t{0}/app*/public"], role: reader}}
deny:
  - {{id: t{0}-v, to: ["group:guests"], repositories: ["t{0}/**"], actions: [delete], when: {{kind: password}}}}
  - {{id: t{0}-f, to: [everyone], except: ["user:u{0}"], repositories: ["t{0}/frozen/**"], actions: [push]}}
"""
_FRONT = """\
  - {{id: s{0}, to: ["user:u{0}"], repositories: ["*/shared{0}/**"], not: ["x/**"], role: writer}}
  - {{id: w{0}, to: [authenticated], repositories: ["**/common{0}"], role: reader, when: {{from: [10.0.0.0/8]}}}}
"""


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="bench.every_word", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2_000, help="decisions in one round")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="the largest number of rules")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    sizes = [size for size in SIZES if size <= arguments.largest]
    sets: dict[tuple[int, str], PolicySet] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for size in sizes:
            sets[size, "plain"] = load_policies(tree(Path(scratch) / f"plain-{size}", size), now=NOW)
            sets[size, "every word"] = load_policies(wordy_tree(Path(scratch) / f"words-{size}", size), now=NOW)
    gc.collect()
    gc.freeze()
    times: dict[tuple[int, str], list[float]] = {key: [] for key in sets}
    for _ in range(arguments.rounds):
        for (size, what), policies in sets.items():
            times[size, what].append(microseconds(policies, size, arguments.calls))
    figures = {f"{size} {what}": statistics.median(found) for (size, what), found in times.items()}
    first = figures[f"{sizes[0]} plain"]
    print(f"{'rules':>8} {'plain':>12} {'every word':>12} {'every word / plain':>20}")
    for size in sizes:
        plain, words = (figures[f"{size} {what}"] for what in ("plain", "every word"))
        print(f"{size:>8} {plain / first:>6.2f} times {words / first:>6.2f} times {words / plain:>20.2f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def wordy_tree(folder: Path, rules: int) -> Path:
    """Write a policy folder with that many rules, eight in each team's file and two for each team in the root file."""
    teams = max(1, rules // RULES_OF_A_TEAM)
    (folder / "teams").mkdir(parents=True)
    entries = [f'  - {{file: teams/t{n}.yaml, repositories: ["t{n}/**"], actions: ["*"]}}\n' for n in range(teams)]
    front = "".join(_FRONT.format(number) for number in range(teams))
    (folder / "company.yaml").write_text(f"version: 1\nallow:\n{front}delegate:\n{''.join(entries)}")
    for number in range(teams):
        (folder / "teams" / f"t{number}.yaml").write_text(_TEAM.format(number))
    return folder


def microseconds(policies: PolicySet, rules: int, calls: int) -> float:
    """The average CPU time of a decision about teams across the tree, all of which are granted."""
    teams = max(1, rules // RULES_OF_A_TEAM)
    questions = [_question(number * 7919 % teams) for number in range(calls)]
    start = time.process_time_ns()
    granted = [decide(policies, identity, scope, context).granted for identity, scope, context in questions]
    total = time.process_time_ns() - start
    assert all(granted)  # noqa: S101 - otherwise something else would be measured
    return total / calls / 1000


def _question(team: int) -> tuple[Identity, Scope, Context]:
    identity = Identity(f"u{team}", Kind.PASSWORD, "htpasswd", frozenset({"staff", "reg-app3-rw", f"g{team}"}))
    scope = Scope(Resource("repository", f"t{team}/app3/web"), frozenset({"pull", "push"}))
    return identity, scope, CONTEXT


if __name__ == "__main__":
    main()
