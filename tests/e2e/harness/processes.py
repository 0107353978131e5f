"""Programs that run beside a test: started, waited for, stopped for certain, and their output kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import randrange

START_SECONDS = 20.0
STOP_SECONDS = 8.0
COMMAND_SECONDS = 60.0


class DidNotStart(AssertionError):
    """A program ended, or never answered; the message holds the end of its output."""


def free_port() -> int:
    """A loopback port that nothing listens on at this moment.

    It is below those that the kernel gives to connections: one of them could take it while a server is restarted.
    """
    while True:
        port = randrange(12_000, 32_000)  # noqa: S311 - so that test runs beside each other do not meet
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def answers(port: int) -> bool:
    """Whether something takes connections on this loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass(frozen=True)
class Output:
    """What a command said. `text` is both streams."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr

    @property
    def ok(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        return f"{' '.join(self.command)}\nexit {self.code}\n{self.text}"


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stdin: str | bytes = b"",
    seconds: float = COMMAND_SECONDS,
) -> Output:
    """Run a command to its end and give its exit code and output; it is killed after `seconds`."""
    words = tuple(str(word) for word in command)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    with subprocess.Popen(
        words,
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(data, timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            stderr += b"\n(killed: it took too long)"
    return Output(words, process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


class Daemon:
    """One running program. Its output goes to files under `folder`; use it as a context manager."""

    def __init__(
        self, name: str, command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.stdout = folder / f"{name}.out"
        self.stderr = folder / f"{name}.err"
        # The kernel ends it also when the test run itself is killed and tears nothing down.
        tether = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        self._command = [*tether, *(str(word) for word in command)]
        self._environment = dict(environment)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that it has said so far."""
        texts = [path.read_text(errors="replace") for path in (self.stdout, self.stderr) if path.exists()]
        return "".join(texts)

    def start(self, ready: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
        """Start it and wait until `ready()`. Raises `DidNotStart` if it ends or takes longer than `seconds`."""
        with self.stdout.open("ab") as stdout, self.stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise DidNotStart(f"{self.name} did not start:\n{' '.join(self._command)}\n{self.log[-4000:]}")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; it may be gone already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code, once it has ended. Raises `subprocess.TimeoutExpired`."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.wait(timeout=seconds)

    def stop(self) -> None:
        """SIGTERM, and after a while SIGKILL to all that it started in its session."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def running(daemon: Daemon, ready: Callable[[], bool]) -> Iterator[Daemon]:
    """The daemon, started and at the end stopped."""
    daemon.start(ready)
    try:
        yield daemon
    finally:
        daemon.stop()


def plain_environment(home: Path) -> dict[str, str]:
    """An environment that leads into `home` and nowhere else: no proxy, no credentials, no settings of the caller."""
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "TMPDIR": str(home / "tmp"),
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    }


def java_options(home: Path) -> str:
    """Options for Java, which reads no TMPDIR: temporary files in `home`, and none with figures of its performance."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return f"-Djava.io.tmpdir={temporary} -XX:-UsePerfData"
