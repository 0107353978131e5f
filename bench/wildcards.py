"""`python -m bench.wildcards`: the cost of `policy diff` and `policy lint` for rules that begin with a wildcard.

Every pattern is `*/sharedN/**`, so its literal prefix is empty. All rules change between the two trees. Sizes double,
so a ratio of 2 to the row before is linear, and 4 is quadratic. Costs are CPU time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench.policies import NOW
from tokenserver.documents.document import parse
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet

_ALLOW = '  - {{id: a{0}, to: [{1}], repositories: ["*/shared{0}/**"], actions: [{2}]}}\n'
_DENY = (
    '  - {{id: d{0}, to: [everyone], except: ["user:bot"], repositories: ["*/shared{0}/{1}/**"], actions: [push]}}\n'
)

TREES = ("everyone who logs in", "a group for each rule", "half of them deny")


def main() -> None:
    """Print one table for each kind of tree."""
    parser = argparse.ArgumentParser(prog="bench.wildcards", description=__doc__)
    parser.add_argument("--rules", type=int, default=4_000, help="the largest number of rules")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    sizes = [arguments.rules // part for part in (4, 2, 1)]
    figures = {name: {size: measure(name, size) for size in sizes} for name in TREES}
    for name, rows in figures.items():
        print(f"{name:24}{'load':>10}{'diff':>10}{'ratio':>8}{'lint':>10}{'ratio':>8}{'rows':>8}")
        before: dict[str, float] = {}
        for size, row in rows.items():
            ratios = {key: f"{row[key] / before[key]:.1f}" if before else "" for key in ("diff s", "lint s")}
            print(
                f"{size:>16,} rules  {row['load s']:>8.2f} s{row['diff s']:>8.2f} s{ratios['diff s']:>8}"
                f"{row['lint s']:>8.2f} s{ratios['lint s']:>8}{row['rows']:>8.0f}"
            )
            before = row
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(name: str, rules: int) -> dict[str, float]:
    """CPU seconds for loading both trees, for comparing them, and for lint of the first one."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / part for part in ("old", "new")]
        for folder, is_new in zip(folders, (False, True), strict=True):
            folder.mkdir()
            (folder / "rules.yaml").write_text(text(name, rules, is_new=is_new))
        start = time.process_time()
        old, new = (compile_policies(folder)[0] for folder in folders)
        loaded = time.process_time()
        found = diff(old, new, NOW)
        compared = time.process_time()
        lint(old, [_linted(folders[0] / "rules.yaml", old)], NOW, have_groups=True)
        done = time.process_time()
    return {
        "load s": loaded - start,
        "diff s": compared - loaded,
        "lint s": done - compared,
        "rows": len(found.gains) + len(found.losses),
    }


def text(name: str, rules: int, *, is_new: bool) -> str:
    """The policy file of one of the `TREES`."""
    allows = rules // 2 if name == "half of them deny" else rules
    to = '"group:g{}"' if name == "a group for each rule" else "authenticated"
    actions = "pull" if is_new and name != "half of them deny" else "pull, push"
    lines = [_ALLOW.format(number, to.format(number), actions) for number in range(allows)]
    denies = [_DENY.format(number, "cold" if is_new else "frozen") for number in range(rules - allows)]
    return "".join(["version: 1\nallow:\n", *lines, *(["deny:\n", *denies] if denies else [])])


def _linted(path: Path, policies: PolicySet) -> LintedFile:
    content = path.read_text()
    return LintedFile(policies.files[0], content, parse(content, path.name))


if __name__ == "__main__":
    main()
