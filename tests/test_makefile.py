"""The Makefile: `make help`, also plain `make`, lists every target that a developer may call."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
(PHONY,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)


def _environment() -> dict[str, str]:
    """Without what the make that runs the tests would say to another one, such as to name its directory."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


@pytest.mark.parametrize("arguments", [["help"], []])
def test_help_lists_every_target(arguments: list[str]) -> None:
    """One line each, with what it is for; nothing is built for that."""
    command = ["make", "--no-print-directory", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", result.stdout, re.MULTILINE))
    assert set(listed) == set(PHONY.split())
    assert result.stdout.count("\n") == len(listed)


def test_make_test_runs_every_test_once() -> None:
    """The parts leave nothing out and repeat nothing, apart from what is for the night."""
    command = ["make", "--dry-run", "--no-print-directory", "test"]
    recipe = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True).stdout
    quick, *others = map(shlex.split, re.findall(r" -m pytest (.+)$", recipe, re.MULTILINE))
    assert "--ignore=tests/e2e" in quick
    assert "-m" not in quick  # pyproject.toml leaves out the night
    assert [words[-1] for words in others] == ["tests/e2e"] * 3
    selections = [words[words.index("-m") + 1] for words in others]
    for values in itertools.product((True, False), repeat=3):
        marks = dict(zip(("alone", "nightly", "waits"), values, strict=True))
        chosen = [eval(one, dict(marks)) for one in selections]  # noqa: S307 - our own Makefile
        assert sum(chosen) == (not marks["nightly"]), marks


def test_make_quick_leaves_out_what_is_listed() -> None:
    """Only `make quick` does, and CONTRIBUTING.md names each test, so that their number does not grow unseen."""
    command = ["make", "--dry-run", "--no-print-directory", "quick"]
    recipe = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True).stdout
    (words,) = map(shlex.split, re.findall(r" -m pytest (.+)$", recipe, re.MULTILINE))
    assert words[words.index("-m") + 1] == "not nightly and not long"
    marked = re.compile(r"^@pytest\.mark\.long\n(?:(?!def ).*\n)*?def (\w+)", re.MULTILINE)
    found = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in marked.findall(path.read_text("utf-8"))
    }
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(tests/.+)` \| \w.+ \|$", contributing, re.MULTILINE)) == found
    assert contributing.count("\n| `tests/") == len(found) <= 15


def test_make_nightly_tries_every_property(tmp_path: Path) -> None:
    """Rules of state machines too, and also when a test before them has failed, which still fails the night."""
    command = ["make", "--dry-run", "--no-print-directory", "nightly"]
    recipe = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True).stdout
    stand_in = tmp_path / "python"
    stand_in.write_text('#!/bin/sh\necho "$HYPOTHESIS_PROFILE:$*"\ntest -n "$HYPOTHESIS_PROFILE"\n')
    stand_in.chmod(0o755)
    shell = ["sh", "-c", recipe.replace(".venv/bin/python", str(stand_in))]
    environment = _environment() | {"HYPOTHESIS_PROFILE": ""}
    result = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    kept = "--failures=run/nightly-failures.txt"
    assert result.stderr.endswith("What failed is in run/nightly-failures.txt, with the examples.\n")
    marked, properties = result.stdout.splitlines()
    assert marked == f":-m pytest {kept} -m nightly"
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"@given\(|StateMachine\b", path.read_text("utf-8")) and path != Path(__file__)
    }
    assert set(properties.removeprefix(f"nightly:-m pytest {kept} ").split()) == found


def test_the_readme_names_the_loop_of_a_developer() -> None:
    """The quick tests, all tests, the linters and the real programs."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Develop")[2]
    assert {"make quick", "make test", "make lint", "make real-servers"} <= set(re.findall(r"make [a-z-]+", text))
