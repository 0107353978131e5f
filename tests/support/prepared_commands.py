"""Commands of tokenserver as processes of their own, which start ready to run.

Starting Python and importing the command line takes longer than what these commands do. So each runs in a process that
is forked from one that has done both; tests/test_main.py has the command as it is started by its users.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
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
        "tokenserver.cli.robots.secret",
        "tokenserver.cli.serve",
        "tokenserver.cli.users.account",
        "tokenserver.cli.users.change",
    ]
)

OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
"""As `before`: standard input, a terminal, is that of the process, so that Ctrl-C there interrupts it."""


class _Inherited:
    """A file descriptor that the new process gets as well."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getstate__(self) -> object:
        return DupFd(self.number)

    def __setstate__(self, copy: object) -> None:
        self.number = copy.detach()  # type: ignore[attr-defined]  # what DupFd gives is not declared


def start_command(
    *arguments: str | Path,
    stdin: int | None = None,
    stdout: int,
    stderr: int,
    before: str = "",
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Start a command in this folder, with these file descriptors and in a session of its own.

    Without `stdin` its input is empty. `before` is code that the process runs first; `environment` is its whole
    environment, and without it the process has this one's.
    """
    variables = dict(os.environ if environment is None else environment)
    words = ["tokenserver", *map(str, arguments)]
    empty = os.open(os.devnull, os.O_RDONLY)
    try:
        streams = [_Inherited(number) for number in (empty if stdin is None else stdin, stdout, stderr)]
        process = _PREPARED.Process(target=_command, args=(streams, words, before, variables, Path.cwd()))
        process.start()
    finally:
        os.close(empty)
    return process


def ended(process: BaseProcess, seconds: float = 60) -> int:
    """Wait for its end: the exit code, or the number of the signal that ended it, below zero."""
    process.join(seconds)
    assert process.exitcode is not None
    return process.exitcode


def run_command(
    *arguments: str | Path, before: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; gives its exit code and what it wrote to files as its standard output and error."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = start_command(
            *arguments, stdout=output.fileno(), stderr=errors.fileno(), before=before, environment=environment
        )
        code = ended(process)
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), errors.read())


def _command(streams: list[_Inherited], words: list[str], before: str, variables: dict[str, str], folder: Path) -> None:
    """What the forked process does: as if it had been started so."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, stream in enumerate(streams):
        os.dup2(stream.number, number)
        os.close(stream.number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
    sys.stdout, sys.stderr = (open(number, "w", 1, encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115 - as above
    sys.argv = words
    exec(before, {})  # noqa: S102 - a test's own code
    run()
