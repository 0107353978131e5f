"""Programs that a demo runs: started in sessions of their own, and stopped together, whatever ends the demo."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tokenserver.process.process_limits import end_with

STOP_SECONDS = 25.0
"""How long a program may take to stop: longer than the server gives its last requests."""


class Program:
    """One running program. Without a `log` file, it writes where this process does.

    A Ctrl-C of the terminal only reaches this process, which then stops the programs one by one. If this process is
    killed, the kernel stops them (Linux).

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.name = name
        output = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the programs of the demo, without a shell
                command,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - no other thread runs yet
            )
        finally:
            if output is not None:
                os.close(output)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to its whole session if it has not ended after `STOP_SECONDS`."""
        if self.exit_code is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def stopping(programs: list[Program]) -> Iterator[threading.Event]:
    """Stop the programs at the end, last first. The event is set by SIGINT, SIGTERM and SIGHUP."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _signals()}
    try:
        yield stop
    finally:
        for program in reversed(programs):
            program.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def first_to_end(programs: Iterable[Program]) -> Program | None:
    """A program that has ended; None while all run."""
    return next((program for program in programs if program.exit_code is not None), None)


def _signals() -> tuple[signal.Signals, ...]:
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP
