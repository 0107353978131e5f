"""`python -m bench.patterns_cost`: the cost of pattern analysis as the number of wildcards grows.

For k globs such as `*word*/**`: loading a root file that delegates them, with a team's file that names one pattern
within them; the containment checks of such files, lint and tests; and `policy diff` when one more glob is added. The
last columns are steps of the search, which are the same on every machine; "-" means undecided.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.policies import NOW
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis import shortest_names as least_words
from tokenserver.policy.analysis.containment import escape
from tokenserver.policy.budget import QUESTION_STEPS, Budget, TooComplex
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.loading.loader import compile_policies, load_policies
from tokenserver.policy.variables import segment_automata as words

WORDS = (
    *("alpha", "bravo", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo"),
    *("lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform"),
)

FORMS = {
    "*w*/**": ("*{}*/**", "x-{}-x/**"),
    "*w*w*/x": ("*{0}*{0}*/x", "*{0}*/*"),
    "**/*w*/**": ("**/*{}*/**", "**/{}/**/{}"),
    "u/${user}/*w*": ("u/${{user}}/*{}*", "u/${{user}}/*"),
}
"""By name: the globs of the outer side, and the inner pattern, with a word to fill in."""


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="bench.patterns_cost", description=__doc__)
    parser.add_argument("--most", type=int, default=len(WORDS), help="globs at most, from 2 on")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    print(f"{'k':>3}{'load':>12}{'diff':>12}" + "".join(f"{name:>17}" for name in FORMS))
    rows = []
    for count in range(2, arguments.most + 1):
        row = measure(WORDS[:count])
        rows.append(row)
        print(f"{count:>3}{row['load_ms']:>9.1f} ms{row['diff_ms']:>9.1f} ms", end="")
        print("".join(f"{row[name] if row[name] is not None else '-':>17}" for name in FORMS), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def measure(globs: tuple[str, ...]) -> dict[str, float | int | None]:
    """Milliseconds for loading and comparing, and steps for each form; caches are cleared before."""
    row: dict[str, float | int | None] = {"globs": len(globs)}
    with tempfile.TemporaryDirectory() as scratch:
        delegated = ", ".join(f'"*{word}*/**"' for word in globs)
        root = f"version: 1\ndelegate:\n  - {{file: teams/web.yaml, repositories: [{delegated}], actions: [pull]}}\n"
        rule = '  - {{id: {0}, to: [authenticated], repositories: ["{1}"], actions: [pull]}}\n'
        team = "version: 1\nallow:\n" + rule.format("a", f"x-{globs[-1]}-x/**")
        folder = _folder(Path(scratch) / "delegated", {"root.yaml": root, "teams/web.yaml": team})
        row["load_ms"] = _milliseconds(lambda: load_policies(folder, now=NOW))
        rules = [rule.format(word, f"*{word}*/**") for word in (*globs, "zulu")]
        old = _folder(Path(scratch) / "old", {"root.yaml": "version: 1\nallow:\n" + "".join(rules[:-1])})
        new = _folder(Path(scratch) / "new", {"root.yaml": "version: 1\nallow:\n" + "".join(rules)})
        before, after = compile_policies(old)[0], compile_policies(new)[0]
        row["diff_ms"] = _milliseconds(lambda: diff(before, after, NOW))
    for name, (outer, inner) in FORMS.items():
        patterns = [parse_pattern(outer.format(word)) for word in globs]
        budget = Budget()
        try:
            escape(patterns, parse_pattern(inner.format(*[globs[-1]] * 2)), budget)
            row[name] = QUESTION_STEPS - budget.left
        except TooComplex:
            row[name] = None
    return row


def _milliseconds(work: Callable[[], object]) -> float:
    least_words._least.cache_clear()  # noqa: SLF001 - the first call is measured
    words._by_class.cache_clear()  # noqa: SLF001 - the first call is measured
    start = time.process_time()
    work()
    return round((time.process_time() - start) * 1000, 1)


def _folder(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    return folder


if __name__ == "__main__":
    main()
