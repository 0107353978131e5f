"""A folder that `tokenserver init` made, and commands run on it as the command line runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder; gives its result with standard output and error apart."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    """A folder that `init` made."""
    assert run("init", "site").exit_code == 0
    return tmp_path / "site"
