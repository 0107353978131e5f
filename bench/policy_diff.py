"""`python -m bench.policy_diff`: how long `policy diff` takes for two large trees that differ in ten rules.

The trees are those of `bench.policies`. The ten changes cover patterns, roles, principals, conditions,
added and removed rules, and a rule about everything. A change that affects every rule, of a deny over all teams, is
measured separately.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from bench.policies import NOW, tree
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.loading.loader import compile_policies

_RULE = '  - {{id: t{0}-{1}, to: ["group:team"], repositories: ["t{0}/app{1}/**"], role: writer}}\n'


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="bench.policy_diff", description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        old = tree(Path(scratch) / "old", arguments.rules)
        (old / "company-wide.yaml").write_text(_COMPANY)
        ten, everywhere = (Path(shutil.copytree(old, Path(scratch) / name)) for name in ("ten", "everywhere"))
        change_ten(ten)
        edit(everywhere / "company-wide.yaml", '"**/frozen/**"', '"**/frozen/*"')
        figures = {"ten rules": measure(old, ten), "a deny over everything": measure(old, everywhere)}
    print(f"{'change':24}{'rules':>8}{'gains':>8}{'losses':>8}{'load both':>12}{'diff':>10}")
    for name, of in figures.items():
        print(
            f"{name:24}{of['rules']:>8}{of['gains']:>8}{of['losses']:>8}{of['load_s']:>10.2f} s{of['diff_s']:>8.2f} s"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(old: Path, new: Path) -> dict[str, float]:
    """Seconds for loading and for comparing both trees, and the number of rows."""
    start = time.perf_counter()
    before, after = compile_policies(old)[0], compile_policies(new)[0]
    loaded = time.perf_counter()
    found = diff(before, after, NOW)
    done = time.perf_counter()
    return {
        "rules": before.rule_count,
        "gains": len(found.gains),
        "losses": len(found.losses),
        "load_s": round(loaded - start, 3),
        "diff_s": round(done - loaded, 3),
    }


_COMPANY = """\
version: 1
allow:
  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}
  - {id: audit, to: ["group:audit"], repositories: ["**"], role: reader}
deny:
  - {id: freeze, to: [everyone], except: ["user:bot"], repositories: ["**/frozen/**"], actions: [push]}
  - {id: leavers, to: ["group:leavers"], repositories: ["**"], actions: ["*"]}
"""


def change_ten(folder: Path) -> None:
    """Change ten rules: nine in teams' files, and one about everything."""
    added = _RULE.format(9, 1)
    changes = {
        1: ("t1/app1/**", "t1/other/**"),
        2: ("role: writer", "role: reader"),
        3: ("u3", "newcomer"),
        4: ("role: writer", "role: writer, when: {until: 2028-01-01}"),
        5: ("role: writer", "role: writer, when: {from: [10.0.0.0/8]}"),
        6: ("t6/app1/**", "t6/app1/*"),
        7: ('"group:team"', '"user:u7"'),
        8: (_RULE.format(8, 1), ""),
        9: (added, added + added.replace("t9-1", "t9-new").replace("app1/**", "new")),
    }
    for team, (old, new) in changes.items():
        edit(folder / "teams" / f"t{team}.yaml", old, new)
    edit(folder / "company-wide.yaml", '["**"], role: reader', '["**"], actions: [pull, delete]')


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first `old` in a file by `new`."""
    text = path.read_text()
    assert old in text, (path, old)  # noqa: S101 - otherwise fewer changes would be measured
    path.write_text(text.replace(old, new, 1))


if __name__ == "__main__":
    main()
