#!/usr/bin/env python3
"""Reviews a change of policies in CI: runs `policy test`, `policy lint` and `policy diff`, and reports what they found.

It runs `tokenserver` and needs nothing but the standard library. The report goes to the job's log, to a Markdown file
and to the forge's own places: annotations, summary and one comment (GitHub), a note and Code Quality (GitLab).

Policies in a merge request are not trusted: text from them reaches log commands and Markdown only escaped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forges import Forge, ForgeError, GitHub, GitLab

MAX_COMMENT = 60_000
"""Characters; GitHub takes 65,536 for a comment, GitLab more."""

MAX_PROBLEMS = 50
"""Problems in the report and annotations of one run; GitHub shows no more than ten of each kind for a step."""

WRONG_USE, LESS_ACCESS, NEW_ACCESS = 2, 3, 4

_FAULT = re.compile(r"(?P<file>[^:\n]+):(?:(?P<line>[0-9]+):)? (?P<text>.+)")


@dataclass(frozen=True)
class Problem:
    """One fault, failed test or lint finding, at its place."""

    severity: str
    title: str
    file: str
    line: int
    text: str


@dataclass
class Review:
    """What the commands said. `access` is `same`, `less`, `new` or `unknown`; `difference` is Markdown."""

    problems: list[Problem] = field(default_factory=list)
    tests: str = "not run"
    access: str = "unknown"
    difference: str = ""

    def count(self, severity: str) -> int:
        """How many problems are that severe."""
        return sum(1 for one in self.problems if one.severity == severity)


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without a shell."""
    return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - see above


def faults(text: str, folder: str) -> list[Problem]:
    """The faults that a command printed to standard error; lines about something else are left out."""
    found = []
    for line in text.splitlines():
        matched = _FAULT.fullmatch(line.strip())
        if matched is not None:
            found.append(Problem("error", "fault", matched["file"], int(matched["line"] or 1), matched["text"]))
    return found or [Problem("error", "fault", folder, 1, text.strip() or "no reason given")]


def run_tests(review: Review, folder: str, junit: Path | None) -> None:
    """`policy test`: each failed expectation is an error."""
    extra = [] if junit is None else ["--junit", str(junit)]
    done = call("tokenserver", "policy", "test", "--policies", folder, "--json", *extra)
    if done.returncode not in (0, 1):
        review.problems += faults(done.stderr, folder)
        review.tests = "the files are faulty"
        return
    facts = json.loads(done.stdout)
    review.tests = f"{facts['tests']} run, {facts['failed']} failed"
    for one in facts["failures"]:
        rules = "".join(f"; {rule['effect']} {rule['id']} ({rule['file']}:{rule['line']})" for rule in one["rules"])
        text = f"expected {one['expected']}, actual {one['actual']}{rules}"
        review.problems.append(Problem("error", "failed test", _in(folder, one["file"]), one["line"], text))


def run_lint(review: Review, folder: str) -> None:
    """`policy lint`: each finding is a warning. Faulty files were already reported by the tests."""
    done = call("tokenserver", "policy", "lint", "--policies", folder, "--json")
    for one in json.loads(done.stdout) if done.returncode in (0, 1) else ():
        review.problems.append(Problem("warning", one["code"], one["file"], one["line"], one["text"]))


def run_diff(review: Review, folder: str, base: str) -> None:
    """`policy diff` from where the branch left `base` to its head."""
    if _exists(f"{base}^{{commit}}") and not _exists(f"{base}:./{folder}"):
        review.difference = f"{code(folder)} is new, so there is nothing to compare with."
        return
    done = call("tokenserver", "policy", "diff", folder, "--git", f"{base}...HEAD", "--markdown")
    if done.returncode not in (0, LESS_ACCESS, NEW_ACCESS):
        found = faults(done.stderr, folder)
        if is_shallow():
            fix = "the history is incomplete; fix: fetch-depth: 0 for actions/checkout, GIT_DEPTH: 0 in GitLab"
            found = [Problem("error", "policy diff", folder, 1, fix)]
        known = {(one.file, one.line) for one in review.problems}
        review.problems += [one for one in found if (one.file, one.line) not in known]
        review.difference = "The access cannot be compared; the problems say why."
        return
    review.access = {0: "same", LESS_ACCESS: "less", NEW_ACCESS: "new"}[done.returncode]
    review.difference = done.stdout.strip()


def _exists(name: str) -> bool:
    """Whether git has this object."""
    return call("git", "cat-file", "-e", name).returncode == 0


def is_shallow() -> bool:
    """Whether the clone lacks history."""
    return call("git", "rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def _in(folder: str, file: str) -> str:
    """A policy file as a path from the top of the checkout."""
    return file if file.startswith(f"{folder}/") else f"{folder}/{file}"


def code(text: str) -> str:
    """Text from a merge request as a Markdown code span, in which markup and mentions have no effect."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def report(review: Review, folder: str) -> str:
    """The report in Markdown."""
    parts = [f"## Policies in {code(folder)}", f"Tests: {review.tests}. Lint: {review.count('warning')} findings."]
    if review.problems:
        rows = [
            f"- **{one.severity}** {code(f'{one.file}:{one.line}')} {code(f'{one.title}: {one.text}')}"
            for one in review.problems[:MAX_PROBLEMS]
        ]
        hidden = len(review.problems) - MAX_PROBLEMS
        parts.append("\n".join([*rows, *([f"- and {hidden} more"] if hidden > 0 else [])]))
    if review.difference:
        parts.append(review.difference)
    return "\n\n".join(parts) + "\n"


def shortened(text: str, limit: int = MAX_COMMENT) -> str:
    """The text, cut at the end of a line if it is too long for a comment."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rpartition(chr(10))[0]}\n\n(shortened: the job has the whole report)\n"


def code_quality(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The problems as GitLab's Code Quality report."""
    found: dict[str, dict[str, Any]] = {}
    for one in problems:
        print_of = hashlib.sha256("\0".join((one.file, one.title, one.text)).encode()).hexdigest()
        found.setdefault(
            print_of,
            {
                "description": f"{one.title}: {one.text}",
                "check_name": one.title,
                "fingerprint": print_of,
                "severity": "major" if one.severity == "error" else "minor",
                "location": {"path": one.file, "lines": {"begin": max(one.line, 1)}},
            },
        )
    return list(found.values())


def fails(review: Review, fail_on: Sequence[str]) -> bool:
    """Whether the job fails: always by errors, and by what `--fail-on` names."""
    return (
        review.count("error") > 0
        or ("lint" in fail_on and review.count("warning") > 0)
        or ("new-access" in fail_on and review.access == "new")
    )


def plain(review: Review) -> Iterator[str]:
    """The problems as lines for a log. No line begins with text from a file, which could be a command to the runner."""
    for one in review.problems:
        yield " ".join(f"{one.severity}: {one.file}:{one.line}: {one.title}: {one.text}".split())
    yield f"tests: {review.tests}; lint: {review.count('warning')} findings; access: {review.access}"


def post(forge: Forge, text: str, *, is_worth_it: bool) -> str:
    """Create or update the comment; gives one line about it. A forge that refuses does not fail the review."""
    try:
        return forge.comment(shortened(text), is_worth_it=is_worth_it)
    except ForgeError as error:
        return f"no comment: {error}"


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Review, report, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("forge", choices=("github", "gitlab"))
    parser.add_argument("--policies", default="policies", help="the policy folder, from the top of the checkout")
    parser.add_argument(
        "--base", default="", help="the revision to compare with; default: the base of the merge request"
    )
    parser.add_argument("--fail-on", default="lint", help="words out of: lint new-access")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the report files")
    options = parser.parse_args(arguments)
    fail_on = options.fail_on.replace(",", " ").split()
    unknown = set(fail_on) - {"lint", "new-access"}
    if unknown:
        parser.error(f"--fail-on: unknown: {', '.join(sorted(unknown))}; known: lint, new-access")
    folder = os.path.normpath(options.policies)
    if folder.startswith(("-", "/", "..")):
        parser.error(f"--policies: {folder} must be a folder inside of the checkout")
    if options.base.startswith("-"):
        parser.error(f"--base: {options.base} is no revision")
    forge: Forge = GitHub(environment) if options.forge == "github" else GitLab(environment)
    review = Review()
    options.output.mkdir(parents=True, exist_ok=True)
    run_tests(review, folder, options.output / "policy-tests.xml")
    run_lint(review, folder)
    base = options.base or forge.base
    if base:
        run_diff(review, folder, base)
    text = f"{forge.marker(folder)}\n{report(review, folder)}"
    (options.output / "policy-review.md").write_text(text)
    (options.output / "gl-code-quality-report.json").write_text(json.dumps(code_quality(review.problems), indent=2))
    say = sys.stdout.write
    for line in plain(review):
        say(f"{line}\n")
    for problem in review.problems[:MAX_PROBLEMS]:
        say(forge.annotation(problem.severity, problem.file, problem.line, problem.title, problem.text))
    outputs: dict[str, str | int] = {
        "access": review.access,
        "errors": review.count("error"),
        "findings": review.count("warning"),
    }
    forge.summarize(text, {**outputs, "report": str(options.output / "policy-review.md")})
    is_worth_it = bool(review.problems) or review.access in ("new", "less")
    say(f"{post(forge, text, is_worth_it=is_worth_it)}\n")
    return 1 if fails(review, fail_on) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
