"""A folder that `tokenserver init` made, and commands run on it as the command line runs them."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `init` made, which no test changes."""
    folder = tmp_path_factory.mktemp("made") / "site"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def made(run: Run, made_once: Path, tmp_path: Path) -> Path:
    """A folder that `init` made, in the folder where `run` runs."""
    folder: Path = shutil.copytree(made_once, tmp_path / "site")
    return folder
