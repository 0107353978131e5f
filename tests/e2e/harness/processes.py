"""Programs that run beside a test: started, waited for, stopped for certain, and their output kept."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 120.0
STOP_SECONDS = 30.0
COMMAND_SECONDS = 180.0
"""Far longer than anything takes on a busy machine: a test that measures says its own limit."""

PORTS = range(12_000, 32_000)
"""Below those that the kernel gives to connections: one of them could take a port while a server is restarted."""


class DidNotStart(AssertionError):
    """A program ended, or never answered; the message holds the end of its output."""


def free_port() -> int:
    """A loopback port that nothing listens on, and that no other process of any test run gets while this one lives.

    Long before a server listens it has been told its port; and where nothing must listen, nothing may begin to.
    """
    while True:
        port = PORTS[secrets.randbelow(len(PORTS))]  # not `random`: Hypothesis seeds it alike in every process
        if port not in _ours and _lease(port) and _is_free(port):
            _ours.add(port)
            return port


_ours: set[int] = set()


def _lease(port: int) -> bool:
    """Lock the byte with this number in a file of all test runs; the kernel unlocks it when this process ends."""
    try:
        fcntl.lockf(_leases(os.getpid()), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@functools.cache
def _leases(process: int) -> int:
    path = Path(tempfile.gettempdir()) / f"ports-of-tests-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        return True
    return False


def children_of(process: int) -> list[int]:
    """The processes that this one has started and that are not gone."""
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_alive(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
    def children(self) -> list[int]:
        """The processes that it has started: of a server, its workers."""
        return children_of(self.pid)

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


def as_user(name: str) -> list[str | Path]:
    """The words before a command that make it run as this user. A `Daemon` still ends with the test run: a change of
    users would undo that.
    """
    return ["setpriv", "--reuid", name, "--regid", name, "--clear-groups", "--pdeathsig", "keep", "--"]


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
