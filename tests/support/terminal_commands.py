"""Commands of tokenserver at a terminal, whose whole output is read.

Starting Python and importing the command line takes longer than what these commands do. So each runs in a process that
is forked from one that has done both; tests/test_main.py has the command as it is started by its users.
"""

from __future__ import annotations

import multiprocessing
import os
import pty
import sys
from multiprocessing.reduction import DupFd
from pathlib import Path

from tokenserver.__main__ import run

_PREPARED = multiprocessing.get_context("forkserver")
_PREPARED.set_forkserver_preload(
    [
        "tokenserver.cli.check",
        "tokenserver.cli.doctor.command",
        "tokenserver.cli.policy.lint",
        "tokenserver.cli.policy.matrix",
        "tokenserver.cli.policy.test",
        "tokenserver.cli.registries.check",
        "tokenserver.cli.serve",
    ]
)


class _Inherited:
    """A file descriptor that the new process gets as well."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getstate__(self) -> object:
        return DupFd(self.number)

    def __setstate__(self, copy: object) -> None:
        self.number = copy.detach()  # type: ignore[attr-defined]  # what DupFd gives is not declared


def at_terminal(*arguments: str | Path, before: str = "", **environment: str) -> tuple[int, str]:
    """Run a command whose outputs are a terminal, which knows no colours; gives its exit code and what it said.

    `before` is code that its process runs first, and `environment` is added to this process's.
    """
    controller, terminal = pty.openpty()
    variables = {**os.environ, "TERM": "dumb", **environment}
    words = ["tokenserver", *map(str, arguments)]
    process = _PREPARED.Process(target=_command, args=(_Inherited(terminal), words, before, variables, Path.cwd()))
    process.start()
    os.close(terminal)
    said = b""
    try:
        while piece := os.read(controller, 65536):
            said += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(controller)
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode, said.decode().replace("\r\n", "\n")


def _command(terminal: _Inherited, words: list[str], before: str, variables: dict[str, str], folder: Path) -> None:
    """What the forked process does: as if it had been started so."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(terminal.number, number)
    os.close(terminal.number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
    sys.stdout, sys.stderr = (open(number, "w", 1, encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115 - as above
    sys.argv = words
    exec(before, {})  # noqa: S102 - a test's own code
    run()
