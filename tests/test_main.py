"""`python -m tokenserver` as a process: exit codes, and one line instead of a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "tokenserver"]


def run(*arguments: str, **options: int) -> subprocess.CompletedProcess[str]:
    """The process, when it has ended."""
    streams = {"stdout": subprocess.PIPE, **options}
    return subprocess.run([*COMMAND, *arguments], check=False, text=True, stderr=subprocess.PIPE, timeout=60, **streams)  # type: ignore[call-overload, no-any-return]  # a dictionary of options


def test_a_folder_that_cannot_be() -> None:
    """`init` names it."""
    found = run("init", "/proc/x")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("/proc/x: ")
    assert "No such file or directory" in found.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["users", "set", "--help"]])
def test_a_full_disk(arguments: list[str]) -> None:
    """Also for what click itself prints; Python reports nothing about the rest of the buffer."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        found = run(*arguments, stdout=full.fileno())
    assert (found.returncode, found.stderr) == (74, "cannot be written: No space left on device\n")


@pytest.mark.parametrize("arguments", [["--help"], ["policy", "matrix", "--policies", "."]])
def test_a_reader_that_is_gone(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head -1`: 141 and silence."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(
        "version: 1\nallow:\n  - {id: a, to: [everyone], repositories: [a], role: reader}\n"
    )
    theirs, ours = os.pipe()
    os.close(theirs)
    found = run(*arguments, stdout=ours)
    os.close(ours)
    assert (found.returncode, found.stderr) == (141, "")


DURING_IMPORTS = """
import os, signal, sys
class Press:
    def find_spec(self, name, path, target=None):
        if name == "tokenserver.cli.lazy":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
sys.argv = ["tokenserver", "--help"]
from tokenserver.__main__ import run
run()
"""


def test_ctrl_c_during_the_start() -> None:
    """The modules take a while to import; the process ends by SIGINT, so that a loop of a shell ends as well."""
    found = subprocess.run(
        [sys.executable, "-c", DURING_IMPORTS], check=False, capture_output=True, text=True, timeout=60
    )
    assert (found.returncode, found.stdout, found.stderr) == (-signal.SIGINT, "", "tokenserver: interrupted\n")


BUG = """
import sys
from tokenserver.cli import exits
import tokenserver.cli.policy.matrix as command
def fail(*_):
    raise ValueError("a secret")
command.matrix = fail
sys.argv = ["tokenserver", "policy", "matrix", "--policies", sys.argv[1]]
from tokenserver.__main__ import run
run()
"""


def test_a_bug(tmp_path: Path) -> None:
    """One line with the kind of error and its place, and not its text; the traceback for those who ask for it."""
    (tmp_path / "p.yaml").write_text(
        "version: 1\nallow:\n  - {id: a, to: [everyone], repositories: [a], role: reader}\n"
    )
    command = [sys.executable, "-c", BUG, str(tmp_path)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (70, "")
    assert found.stderr == (
        "tokenserver: internal error: ValueError in <string>:6; python -X dev -m tokenserver shows more\n"
    )
    command[1:1] = ["-X", "dev", "-W", "ignore"]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "Traceback" in found.stderr
