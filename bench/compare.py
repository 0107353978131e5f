"""`python -m bench.compare REV`: this tree against another revision, interleaved, so that a regression is seen early.

Each revision has a folder of its own, where `tokenserver` is that of the revision and `bench` that of this tree. Both
are measured in turn, round by round: first the CPU time of requests for new repositories, by part (`bench.fresh`), then
the throughput of servers under load (wrk). A ratio above 1 means that this tree is faster. On a machine that does other
work meanwhile, the ratios of CPU time are the more reliable ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import load
from bench.load import Work, drive
from bench.servers import program, tokenserver

ROOT = Path(__file__).parents[1]

LOADS: tuple[tuple[str, dict[str, Any], Work], ...] = (
    ("the same request", {}, Work()),
    ("every request another repository", {}, load.new_repositories()),
    ("every request another repository, RS256", {"algorithm": "RS256"}, load.new_repositories()),
    ("the same user again", {"users": 1, "cost": 4}, load.login("u0")),
    ("POST, the same user again", {"users": 1, "cost": 4}, load.post()),
    ("1,000 users in turn, 100 repositories", {"users": 1_000, "cost": 4}, load.many_users(1_000, 100)),
    ("16 scopes", {}, load.scopes(16)),
    ("64 scopes", {}, load.scopes(64)),
    ("a connection for each request", {}, load.new_connections()),
)

Figures = dict[str, dict[str, list[float]]]
"""By row and by side, one figure for each round."""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="bench.compare", description=__doc__)
    parser.add_argument("revision", help="what this tree is compared with, as git names it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of one round under load")
    parser.add_argument("--row", action="append", default=[], help="part of a row's title; default: all rows")
    parser.add_argument("--only", choices=["cpu", "load"], action="append")
    parser.add_argument("--json", type=Path, help="write the ratios to this file")
    arguments = parser.parse_args()
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, worktree(Path(folder) / "tree", arguments.revision) as tree:
        sides = {
            arguments.revision: side(Path(folder) / "before", tree),
            "this tree": side(Path(folder) / "after", ROOT),
        }
        if "cpu" in (arguments.only or ["cpu"]):
            ratios["cpu"] = _print("µs of CPU time", cpu(sides, arguments.rounds, arguments.row), is_time=True)
        if "load" in (arguments.only or ["load"]):
            program("wrk")
            found = under_load(sides, arguments)
            ratios["load"] = _print("a second", found, is_time=False)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")


@contextmanager
def worktree(folder: Path, revision: str) -> Iterator[Path]:
    """A checkout of the revision, which is removed afterwards."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def side(folder: Path, tree: Path) -> Path:
    """A folder from which Python imports the `tokenserver` of that tree, and the `bench` of this one."""
    folder.mkdir()
    (folder / "tokenserver").symlink_to(tree / "tokenserver")
    (folder / "bench").symlink_to(ROOT / "bench")
    return folder


def cpu(sides: dict[str, Path], rounds: int, chosen: list[str]) -> Figures:
    """Microseconds of each part of `bench.fresh`."""
    figures: Figures = {}
    for _ in range(rounds):
        for name, folder in sides.items():
            command = [sys.executable, "-m", "bench.fresh", "--json", "--batches", "15"]
            command += [word for row in chosen for word in ("--row", row)]
            output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
            for row, parts in json.loads(output).items():
                for part, microseconds in parts.items():
                    if not part.startswith("("):
                        figures.setdefault(f"{row}: {part}", {}).setdefault(name, []).append(microseconds)
    return figures


def under_load(sides: dict[str, Path], arguments: argparse.Namespace) -> Figures:
    """Responses a second."""
    figures: Figures = {}
    chosen = [one for one in LOADS if not arguments.row or any(part in one[0] for part in arguments.row)]
    for title, settings, work in chosen:
        with ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            urls = {
                name: stack.enter_context(tokenserver(place / str(number), workers=2, code=folder, **settings)).url
                for number, (name, folder) in enumerate(sides.items())
            }
            for url in urls.values():
                drive(url, work, 1)
            for _ in range(arguments.rounds):
                for name, url in urls.items():
                    rate = drive(url, work, arguments.seconds).rate
                    figures.setdefault(title, {}).setdefault(name, []).append(rate)
    return figures


def _print(unit: str, figures: Figures, *, is_time: bool) -> dict[str, float]:
    """Print medians and ratios; returns the ratios."""
    before, after = next(iter(figures.values()))
    print(f"{unit:52} {before[:12]:>12} {after:>12} {'ratio':>6} {'spread':>13}")
    ratios = {}
    for title, by_side in figures.items():
        pairs = list(zip(by_side[before], by_side[after], strict=True))
        each = sorted(one / other if is_time else other / one for one, other in pairs if one and other)
        ratios[title] = statistics.median(each)
        medians = [statistics.median(by_side[name]) for name in (before, after)]
        spread = f"{each[0]:.2f} - {each[-1]:.2f}"
        print(f"{title:52} {medians[0]:12.1f} {medians[1]:12.1f} {ratios[title]:6.2f} {spread:>13}")
    print()
    return ratios


if __name__ == "__main__":
    main()
