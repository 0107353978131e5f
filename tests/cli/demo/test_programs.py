"""Programs of a demo: output, environment, stopping and signals."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from tokenserver.cli.demo import programs
from tokenserver.cli.demo.programs import Program, first_to_end, stopping

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def _wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_output_goes_to_a_private_log(tmp_path: Path) -> None:
    """Both streams, from the start each time."""
    log = tmp_path / "log"
    code = "import sys, time; print('one', flush=True); print('two', file=sys.stderr, flush=True); time.sleep(60)"
    for _ in range(2):
        program = Program("one", [sys.executable, "-c", code], log=log)
        try:
            _wait_for(log, "one\ntwo\n")
        finally:
            program.stop()
        assert log.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_environment_is_the_given_one(tmp_path: Path) -> None:
    """Nothing of this process's own."""
    log = tmp_path / "log"
    code = "import os, time; print('ONE' in os.environ, 'HOME' in os.environ, flush=True); time.sleep(60)"
    program = Program("one", [sys.executable, "-c", code], environment={"ONE": "1"}, log=log)
    try:
        _wait_for(log, "True False")
    finally:
        program.stop()


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A planted link is an error."""
    (tmp_path / "victim").write_text("old")
    (tmp_path / "log").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        Program("one", SLEEP, log=tmp_path / "log")
    assert (tmp_path / "victim").read_text() == "old"


def test_stopping_ends_every_program(tmp_path: Path) -> None:
    """Whatever happens in between; one that has ended is found."""
    started: list[Program] = []

    def fails() -> None:
        with stopping(started):
            started.extend(Program(name, SLEEP, log=tmp_path / name) for name in ("one", "two"))
            assert first_to_end(started) is None
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert [program.exit_code for program in started] == [-signal.SIGTERM] * 2
    assert first_to_end(started) is started[0]


def test_a_program_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, with everything in its session."""
    monkeypatch.setattr(programs, "STOP_SECONDS", 0.2)
    program = Program("one", STUBBORN, log=tmp_path / "log")
    _wait_for(tmp_path / "log", "up")
    program.stop()
    assert program.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop(number: signal.Signals) -> None:
    """Each sets the event, and the handlers from before are back afterwards."""
    before = signal.getsignal(number)
    with stopping([]) as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before
