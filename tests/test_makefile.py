"""The Makefile: `make help`, also plain `make`, lists every target that a developer may call."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
(PHONY,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["help"], []])
def test_help_lists_every_target(arguments: list[str]) -> None:
    """One line each, with what it is for; nothing is built for that."""
    # The tests themselves run under make, which would say which directory it enters.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", result.stdout, re.MULTILINE))
    assert set(listed) == set(PHONY.split())
    assert result.stdout.count("\n") == len(listed)


def test_the_readme_names_the_loop_of_a_developer() -> None:
    """The quick tests, all tests, the linters and the real programs."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Develop")[2]
    assert {"make quick", "make test", "make lint", "make real-servers"} <= set(re.findall(r"make [a-z-]+", text))
