"""One process of a program that is a hook: its pipes, its log, and its certain end with all the processes it started.

It is started without a shell, in a session of its own, in `/`, with the environment below and no open files but its
pipes. Nothing here blocks: every wait is in `poll`, with a deadline.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tokenserver.authn.hooks.exchange import HookMisbehaved
from tokenserver.authn.hooks.program_log import ProgramLog
from tokenserver.errors import BackendUnavailable, TokenserverError

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
)
"""All of it. The environment of the server may hold secrets."""

FOLDER = "/"

END_SECONDS = 1.0
"""How long a program may take to end after the end of its input, before it is killed."""

_CHUNK = 16 * 1024
_LOOK_SECONDS = 0.02


class ProgramFailed(TokenserverError):
    """A program did not answer. `summary` is the reason without any name, for `/readyz`.

    `is_late`: it did nothing else wrong. As an error of the source, this says nothing about the question.
    """

    def __init__(self, summary: str, *, is_late: bool = False) -> None:
        self.summary = summary
        self.is_late = is_late
        super().__init__(summary)

    def of_source(self, name: str) -> BackendUnavailable:
        """The same as an error of the source with this name."""
        kind = BackendUnavailable if self.is_late else HookMisbehaved
        return kind(name, self.summary, summary=self.summary)


class Child:
    """A process of `command`. What it writes to its standard error goes to `log`.

    Raises:
        ProgramFailed: it cannot be started.
    """

    def __init__(self, command: Sequence[str], log: ProgramLog) -> None:
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list from the configuration, which no shell reads
                command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                bufsize=0,
                cwd=FOLDER,
                env=dict(ENVIRONMENT),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ProgramFailed(f"its program cannot be started: {reason}") from None
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - they are pipes
        self._files = (process.stdin, process.stdout, process.stderr)
        self._input, self._output, self._errors = (file.fileno() for file in self._files)
        for descriptor in (self._input, self._output, self._errors):
            os.set_blocking(descriptor, False)
        self._log = log
        self._watched = {self._output, self._errors}
        self._is_input_open = True
        self._exited = -1
        try:
            self._exited = os.pidfd_open(process.pid)
        except OSError as error:  # without a free descriptor, say
            self._kill_group()
            raise ProgramFailed(f"its program cannot be watched: {error.strerror}") from None

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        return self._process.pid

    @property
    def has_ended_output(self) -> bool:
        """Whether it has closed its standard output, as every program does that ends."""
        return self._output not in self._watched

    @property
    def has_exited(self) -> bool:
        """Whether the process is over. What it started may go on."""
        return bool(_readable(self._exited))

    def turn(self, out: bytes, seconds: float, *, until_exit: bool = False) -> tuple[bytes, bytes]:
        """Wait until something happens, for at most `seconds`: what is left of `out`, and what it has written.

        `out` is written to its standard input. With `until_exit`, its exit is something that happens, too.
        """
        poll = select.poll()
        for descriptor in self._watched:
            poll.register(descriptor, select.POLLIN)
        if out and self._is_input_open:
            poll.register(self._input, select.POLLOUT)
        if until_exit:
            poll.register(self._exited, select.POLLIN)
        written = b""
        for descriptor, _ in poll.poll(max(0.0, seconds) * 1000):
            if descriptor == self._input:
                out = self._write(out)
            elif descriptor == self._errors:
                self._log.write(self._read(descriptor))
            elif descriptor == self._output:
                written += self._read(descriptor)
        return out, written

    def end_input(self) -> None:
        """Close its standard input, at which it should end."""
        self._is_input_open = False
        with contextlib.suppress(OSError):
            self._files[0].close()

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs. The process stays, as a zombie, until `kill`."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def how_it_ended(self) -> str:
        """Its end as part of a sentence, once its output has ended."""
        _readable(self._exited, _LOOK_SECONDS)  # the exit follows the end of the output immediately
        code = self.exit_code()
        if code is None:
            return "closed its output"
        return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"

    def end(self, seconds: float = END_SECONDS) -> None:
        """End it: by the end of its input, or else by a signal."""
        self.end_input()
        ends = time.monotonic() + seconds
        while not self.has_exited and (left := ends - time.monotonic()) > 0:
            self.turn(b"", left, until_exit=True)
        self.kill()

    def kill(self) -> None:
        """End it and all processes of its group, immediately. Further calls do nothing."""
        if self._exited < 0:
            return
        self._kill_group()
        os.close(self._exited)
        self._exited = -1

    def _kill_group(self) -> None:
        # Before anybody waits for it: as long as it is a zombie, its number means no other group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._log.write(self._read(self._errors))
        self._log.end()
        self._is_input_open = False
        for file in self._files:
            with contextlib.suppress(OSError):
                file.close()

    def _write(self, out: bytes) -> bytes:
        try:
            return out[os.write(self._input, out) :]
        except BlockingIOError:
            return out
        except OSError:  # it reads no more; whether it answers nevertheless shows
            self.end_input()
            return b""

    def _read(self, descriptor: int) -> bytes:
        if descriptor not in self._watched:
            return b""
        try:
            found = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            found = b""
        if not found:
            self._watched.discard(descriptor)
        return found


def _readable(descriptor: int, seconds: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
