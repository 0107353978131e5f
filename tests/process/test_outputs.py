"""What the server writes to: an output that is not there stops the start, and a log that nobody reads stops nothing."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.own_time import OwnTime

from tokenserver.errors import LoadError
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.process.json_log import JsonFormatter
from tokenserver.process.outputs import LOG_WAIT_SECONDS, LogHandler, check_output, shared_outputs


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; its ends may be closed meanwhile."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_standard_output_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Closed, or open for reading: the server would be of no use; a file, and what is no descriptor, are fine."""
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as reading, (tmp_path / "file").open("a") as writing:
        for bad in (None, reading):
            monkeypatch.setattr("sys.stdout", bad)
            with pytest.raises(LoadError, match="standard output: cannot be written to"):
                check_output()
        for good in (writing, io.StringIO()):
            monkeypatch.setattr("sys.stdout", good)
            check_output()


def test_both_in_one_place_share_a_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that no log line comes between two pieces of an audit event; elsewhere neither waits for the other."""
    with (tmp_path / "one").open("a") as one, (tmp_path / "one").open("a") as same, (tmp_path / "two").open("a") as two:
        found = []
        for out, err in ((one, same), (one, two), (one, None), (io.StringIO(), one)):
            monkeypatch.setattr("sys.stdout", out)
            monkeypatch.setattr("sys.stderr", err)
            outputs = shared_outputs()
            found.append(outputs.audit is outputs.log)
    assert found == [True, False, False, False]


def test_without_memory_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does not start: lines of its workers could mix."""

    def refuse(name: str, owner: object) -> int:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("tokenserver.exchange.sink_state.anonymous_file", refuse)
    with pytest.raises(LoadError, match=r"standard output: there is no memory .*: Cannot allocate memory"):
        shared_outputs()


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("tokenserver.test", logging.WARNING, "", 0, "%s", (text,), None)


def test_a_log_that_nobody_reads(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    """What logs goes on; when somebody reads again, the log says how many lines are missing."""
    with os.fdopen(pipe[1], "w", closefd=False) as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        handler = LogHandler()
    handler.setFormatter(JsonFormatter())
    own = OwnTime(os.getpid())
    for _ in range(300):
        handler.emit(record("x" * 1000))
    assert own.seconds < 10 * LOG_WAIT_SECONDS
    kept = [json.loads(line)["message"] for line in os.read(pipe[0], 1 << 20).splitlines()]
    assert 0 < len(kept) < 300
    handler.emit(record("next"))
    after = [json.loads(line)["message"] for line in os.read(pipe[0], 1 << 20).splitlines()]
    assert after == [f"{300 - len(kept)} log lines could not be written", "next"]


def test_a_log_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor may be a client's connection by now, so nothing is written to it."""
    monkeypatch.setattr("sys.stderr", None)
    handler = LogHandler()
    monkeypatch.setattr(DescriptorSink, "write", lambda *_: pytest.fail("it was written to"))
    handler.emit(record("text"))


def test_a_record_that_cannot_be_spelled(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    """It costs itself alone."""
    with os.fdopen(pipe[1], "w", closefd=False) as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        monkeypatch.setattr("logging.raiseExceptions", False)
        handler = LogHandler()
    handler.emit(logging.LogRecord("tokenserver.test", logging.WARNING, "", 0, "%d", ("no number",), None))
    handler.emit(record("text"))
    assert os.read(pipe[0], 1 << 20) == b"text\n"
