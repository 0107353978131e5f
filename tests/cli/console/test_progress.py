"""Progress on a terminal: after a second, without colours, and gone at the end; nothing anywhere else."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import SimpleNamespace

import pytest
from prepared_commands import ended, start_command
from terminal_commands import at_terminal

from tokenserver.cli.console import progress as module
from tokenserver.cli.console.progress import progress, steps_of
from tokenserver.policy.budget import Budget

NO_TIME = SimpleNamespace(monotonic=lambda: 0.0)
"""However long a test takes on a busy machine, progress has lasted for no second."""


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal, and notes when something is shown on it."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = threading.Event()
        self.is_gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        try:
            if self.is_gone:
                raise OSError(5, "Input/output error")
            return super().write(text)
        finally:
            self.shown.set()

    def screen(self) -> str:
        """What a terminal would show in its line now."""
        line: list[str] = []
        position = 0
        for one in self.getvalue():
            position = 0 if one == "\r" else position + 1
            if one != "\r":
                line[position - 1 : position] = [one]
        return "".join(line).rstrip()


@contextmanager
def shown_on(
    stream: io.StringIO | None, what: str = "comparing", done: Callable[[], str] | None = None
) -> Iterator[None]:
    """Work with progress, while standard error is that stream; set here, since pytest replaces it for each phase."""
    with redirect_stderr(stream), progress(what, done):
        yield


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal on which progress is shown immediately, while the clock stands still."""
    found = Terminal()
    monkeypatch.setattr(module, "time", NO_TIME)
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.001)
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0.001)
    return found


def test_it_is_shown_and_cleared(terminal: Terminal) -> None:
    """What is done, for how long, and how much of it; nothing is left, and no escape sequence is used."""
    with shown_on(terminal, done=lambda: "7 steps"):
        assert terminal.shown.wait(60)
        assert terminal.screen() == "comparing (0 s, 7 steps)"
    assert terminal.screen() == ""
    assert "\x1b" not in terminal.getvalue()
    assert "\n" not in terminal.getvalue()


def test_it_is_cleared_after_an_error(terminal: Terminal) -> None:
    """Also after Ctrl-C, so that the message begins in a clean line."""

    def work() -> None:
        assert terminal.shown.wait(60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), shown_on(terminal):
        work()
    assert terminal.screen() == ""


@pytest.mark.parametrize("is_shown", [True, False], ids=["when it is shown", "before there is a thread"])
def test_ctrl_c_while_it_starts(terminal: Terminal, is_shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may show it before the work has begun: it is cleared all the same."""
    started = module._ProgressLine.start

    def interrupted(line: module._ProgressLine) -> None:
        if is_shown:
            started(line)
            assert terminal.shown.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(module._ProgressLine, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), shown_on(terminal):
        raise AssertionError("the work begins")
    assert terminal.screen() == ""
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_quick_work_shows_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only flicker."""
    monkeypatch.setattr(module, "DELAY_SECONDS", 60)
    with shown_on(terminal):
        pass
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["closed", "a file or pipe"])
def test_without_a_terminal(stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is neither output nor a thread."""
    monkeypatch.setattr(module, "DELAY_SECONDS", 0)
    before = threading.active_count()
    with shown_on(stream):
        assert threading.active_count() == before
    assert stream is None or stream.getvalue() == ""


def broken() -> str:
    raise RuntimeError


@pytest.mark.parametrize(
    ("done", "shown"),
    [
        pytest.param(broken, "comparing (0 s, ...)", id="a count that fails"),
        pytest.param(lambda: "\x1b[2J\n", r"comparing (0 s, \x1b[2J\n)", id="control characters"),
        pytest.param(lambda: "x" * 200, f"comparing (0 s, {'x' * 63}", id="a long text"),
    ],
)
def test_what_is_shown_in_any_case(terminal: Terminal, done: Callable[[], str], shown: str) -> None:
    """One line that fits, whatever is counted; the work is not affected."""
    with shown_on(terminal, done=done):
        assert terminal.shown.wait(60)
        assert terminal.screen() == shown


def test_a_terminal_that_is_gone(terminal: Terminal) -> None:
    """Ends the progress and not the work."""
    terminal.is_gone = True
    with shown_on(terminal):
        assert terminal.shown.wait(60)


def test_steps() -> None:
    """Those that a budget has counted since."""
    budget = Budget(10_000)
    budget.spend(1_000)
    steps = steps_of(budget)
    budget.question().spend(2_345)
    assert steps() == "2,345 steps"


LONG = """
import threading
from tokenserver.cli.console import progress
progress.DELAY_SECONDS = 0.01
progress.time = type("NoTime", (), {"monotonic": staticmethod(lambda: 0.0)})
import tokenserver.cli.policy.matrix as command
wait = threading.Event().wait
command.matrix = lambda *_: wait(600)
"""
"""With it, the work of the command takes ten minutes."""


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}], ids=["colours", "NO_COLOR"])
def test_ctrl_c_leaves_a_clean_line(tmp_path: Path, colour: dict[str, str]) -> None:
    """On a real terminal: the line is overwritten, the message has one of its own, and the process ends by SIGINT."""
    (tmp_path / "p.yaml").write_text(
        "version: 1\nallow:\n  - {id: a, to: [everyone], repositories: [a], role: reader}\n"
    )
    ours, theirs = pty.openpty()
    command = ["policy", "matrix", "--policies", str(tmp_path)]
    environment = {**os.environ, **colour}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = start_command(*command, **streams, before=LONG, environment=environment)
    os.close(theirs)
    output, deadline = b"", time.monotonic() + 60
    while b"filling in the matrix" not in output and time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            output += os.read(ours, 4096)
    assert b"filling in the matrix (0 s, 0 steps)" in output
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    while process.is_alive() or select.select([ours], [], [], 0.2)[0]:
        try:
            output += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert ended(process) == -signal.SIGINT, output.decode()[-3000:]
    lines = re.sub(r"\x1b\[[0-9;]*m", "", output.decode()).replace("\r\n", "\n").split("\n")
    assert [line.rpartition("\r")[2].strip() for line in lines] == ["", "interrupted", ""]
    assert "Traceback" not in output.decode()


SLOW = """
import time
from tokenserver.cli.console import progress
progress.DELAY_SECONDS = 0
start = progress._ProgressLine.start
def start_and_show(line):
    start(line)
    while not line._width:
        time.sleep(0.001)
progress._ProgressLine.start = start_and_show
"""
"""With it, the work of a command takes as long as its progress needs to be shown."""
QUIET = """
from tokenserver.cli.console import progress
progress.DELAY_SECONDS = 60
"""
"""With it, no progress is shown, however busy the machine is."""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(
            ["registries", "check"], ["reading users, policies and keys", "checking registries"], id="registries-check"
        ),
        pytest.param(["policy", "test"], ["reading policies", "running tests"], id="policy-test"),
        pytest.param(["policy", "lint"], ["reading policies", "comparing rules"], id="policy-lint"),
        pytest.param(["policy", "matrix"], ["reading policies", "filling in the matrix"], id="policy-matrix"),
        pytest.param(["doctor"], ["reading users, policies and keys", "asking registries and servers"], id="doctor"),
    ],
)
def test_commands_show_what_they_do(command: list[str], expected: list[str], made: Path) -> None:
    """Each step in its turn on a real terminal, and at the end what the command prints elsewhere."""
    arguments = [*command, "--config", str(made / "tokenserver.yaml")]
    _, said = at_terminal(*arguments, before=SLOW)
    shown = re.findall(r"\r([^\r\n]*?) \(0 s[^)\r\n]*\) *(?=\r)", said)
    assert list(dict.fromkeys(shown)) == expected
    left = [line.rpartition("\r")[2] for line in said.split("\n")]
    assert left == at_terminal(*arguments, before=QUIET)[1].split("\n")


def test_tests_are_counted(made: Path) -> None:
    """How many of them have run."""
    _, said = at_terminal("policy", "test", "--config", made / "tokenserver.yaml", before=SLOW)
    assert re.search(r"running tests \(0 s, [\d,]+ of [\d,]+\)", said)
