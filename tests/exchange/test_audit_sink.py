"""The sink of audit events: real processes on real pipes, files, terminals and sockets; whole lines, bounded waits."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import pty
import resource
import signal
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.own_time import OwnTime

from tokenserver.exchange.audit_sink import WAIT_SECONDS, DescriptorSink
from tokenserver.exchange.sink_state import BROKEN, KEPT, WHOLE, SinkState
from tokenserver.runtime.output_ports import FilePort, PolledPort, open_port
from tokenserver.runtime.shared_lock import RecordLock, RobustMutex

FORK = multiprocessing.get_context("fork")
WRITERS = 4
LINES = 24
LENGTHS = (300, 4096, 5000, 20_000, 65_536, 1000)
WAIT = 0.3
"""Seconds, where it does not matter how long a sink waits."""

PROMPT = 0.5
"""Seconds within which something is done that does not wait; far more than it takes."""


def line(name: str, length: int) -> bytes:
    """A line of JSON of so many bytes."""
    frame = json.dumps({"name": name, "fill": ""})
    return json.dumps({"name": name, "fill": "x" * (length - len(frame) - 1)}).encode() + b"\n"


def names(data: bytes) -> list[str]:
    """Of the lines, each of which is whole."""
    return [json.loads(one)["name"] for one in data.splitlines()]


Outlet = tuple[int, Callable[[int], bytes]]


@pytest.fixture(params=["pipe", "pipe that cannot be opened once more", "socket", "terminal", "file", "file to append"])
def outlet(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outlet]:
    """A descriptor to write to, and how to read so many bytes at its other end, or none where none are there."""
    match request.param:
        case "pipe":
            reading, writing = os.pipe()
        case "pipe that cannot be opened once more":
            reading, writing = os.pipe()
            # As where the pipe belongs to another user.
            monkeypatch.setattr("tokenserver.runtime.output_ports.os.open", _refused)
        case "socket":
            ours, theirs = socket.socketpair()
            reading, writing = ours.detach(), theirs.detach()
        case "terminal":
            reading, writing = pty.openpty()
            tty.setraw(writing)
        case _:
            append = os.O_APPEND if request.param == "file to append" else 0
            writing = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT | append)
            reading = os.open(tmp_path / "out", os.O_RDONLY)
    os.set_blocking(reading, False)

    def read(size: int) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(reading, size)
        return b""

    yield writing, read
    for one in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(one)


def _refused(*_: object) -> int:
    raise PermissionError(errno.EACCES, "not for you")


def write_lines(sink: DescriptorSink, name: str) -> None:
    """What one process writes, from two threads."""

    def write(number: int) -> None:
        for index in range(LINES // 2):
            sink.write(line(f"{name}-{number}-{index}", LENGTHS[(index + number) % len(LENGTHS)]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def processes(target: Callable[..., None], count: int, *arguments: Any) -> Iterator[list[Any]]:
    """So many processes; they are ended at the end."""
    found = [FORK.Process(target=target, args=(*arguments, f"writer-{number}")) for number in range(count)]
    for process in found:
        process.start()
    try:
        yield found
    finally:
        for process in found:
            process.kill()
            process.join()


def _write_from_a_process(descriptor: int, state: SinkState, name: str) -> None:
    write_lines(DescriptorSink(descriptor, state, wait=60), name)


def test_lines_of_several_processes_never_mix(outlet: Outlet) -> None:
    """Whatever their length, whatever the descriptor is, and though the reader takes a little at a time."""
    descriptor, read = outlet
    total = WRITERS * sum(LENGTHS[(index + number) % len(LENGTHS)] for index in range(LINES // 2) for number in (0, 1))
    found = b""
    with processes(_write_from_a_process, WRITERS, descriptor, SinkState()) as writers:
        end = time.monotonic() + 40
        while len(found) < total and time.monotonic() < end:
            data = read(3000)
            found += data
            if not data:
                time.sleep(0.005)
        for writer in writers:
            writer.join(10)
        assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert sorted(names(found)) == sorted(
        f"writer-{writer}-{number}-{index}"
        for writer in range(WRITERS)
        for number in (0, 1)
        for index in range(LINES // 2)
    )


def test_the_descriptor_stays_as_it_is() -> None:
    """Its mode is shared with the parent of this process."""
    reading, writing = os.pipe()
    sink = DescriptorSink(writing)
    sink.write(b"{}\n")
    assert os.get_blocking(writing)
    assert os.read(reading, 10) == b"{}\n"
    del sink
    os.close(writing)
    assert os.read(reading, 10) == b"", "the sink left a writing end open"
    os.close(reading)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; its ends may be closed meanwhile."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def fill(sink: DescriptorSink) -> int:
    """Write until nobody reads any more; how many bytes were written as whole lines."""
    written = 0
    try:
        while True:
            sink.write(line("fill", 1000))
            written += 1000
    except TimeoutError:
        return written


def drain(descriptor: int) -> bytes:
    """Everything that can be read now."""
    os.set_blocking(descriptor, False)
    found = b""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(descriptor, 1 << 20):
            found += data
    os.set_blocking(descriptor, True)
    return found


def test_a_reader_that_does_not_read(pipe: tuple[int, int]) -> None:
    """The first call fails after its wait, the others immediately, and it goes on by itself when the reader does."""
    sink = DescriptorSink(pipe[1])
    own, begun = OwnTime(os.getpid()), time.monotonic()
    written = fill(sink)
    assert own.seconds < 2.0 + PROMPT
    assert time.monotonic() - begun >= WAIT_SECONDS
    assert sink.error == errno.ETIMEDOUT
    own = OwnTime(os.getpid())
    for _ in range(50):
        with pytest.raises(TimeoutError):
            sink.write(line("no", 1000))
    assert own.seconds < PROMPT
    assert len(drain(pipe[0])) == written
    sink.write(line("yes", 1000))
    assert sink.error == 0
    assert names(drain(pipe[0])) == ["yes"]


def test_many_threads_wait_together(pipe: tuple[int, int]) -> None:
    """Nobody waits in a line behind others who wait."""
    sink = DescriptorSink(pipe[1], wait=WAIT)
    os.set_blocking(pipe[1], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe[1], b"x" * 4096)
    os.set_blocking(pipe[1], True)
    took: list[float] = []

    def write() -> None:
        own = OwnTime(os.getpid())
        with contextlib.suppress(OSError):
            sink.write(line("no", 1000))
        took.append(own.seconds)

    threads = [threading.Thread(target=write) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 32
    assert max(took) < WAIT + 2 * PROMPT


def test_a_line_that_was_cut_off_is_finished(pipe: tuple[int, int]) -> None:
    """A reader that stops in the middle of a long line and goes on later finds all lines whole."""
    state = SinkState()
    sink = DescriptorSink(pipe[1], state, wait=WAIT)
    sink.write(line("first", 30_000))
    with pytest.raises(TimeoutError):
        sink.write(line("second", 60_000))
    assert state.ending == KEPT
    found = drain(pipe[0])
    DescriptorSink(pipe[1], state).write(line("third", 500))  # as another process would
    found += drain(pipe[0])
    assert names(found) == ["first", "second", "third"]


def test_a_rest_that_has_no_room_either(pipe: tuple[int, int]) -> None:
    """It is written bit by bit, as its reader takes it."""
    state = SinkState()
    sink = DescriptorSink(pipe[1], state, wait=0.05)
    for name in ("first", "second"):
        with contextlib.suppress(TimeoutError):
            sink.write(line(name, 60_000))
    assert state.ending == KEPT
    found = b""
    while state.ending == KEPT:
        found += os.read(pipe[0], 10_000)
        with contextlib.suppress(TimeoutError):
            sink.write(line("third", 500))
    found += drain(pipe[0])
    assert names(found)[:2] == ["first", "second"]
    assert set(names(found)[2:]) <= {"third"}


def test_a_reader_that_is_gone(pipe: tuple[int, int]) -> None:
    """It fails immediately, which is known without writing too; what was kept for it is nobody's any more."""
    state = SinkState()
    sink = DescriptorSink(pipe[1], state, wait=0.05)
    sink.check()
    sink.write(line("first", 30_000))
    with pytest.raises(TimeoutError):
        sink.write(line("second", 60_000))
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        sink.check()
    assert sink.error == errno.EPIPE
    with pytest.raises(BrokenPipeError):
        sink.write(line("third", 500))
    assert state.ending == BROKEN


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Bounds how large files may get in this process; unbounded at the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(tmp_path: Path, small_files: Callable[[int], None]) -> None:
    """The fragment that it leaves is ended before the next line, by whichever process writes that."""
    out = tmp_path / "out"
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    state = SinkState()
    sink = DescriptorSink(descriptor, state)
    sink.write(line("first", 1000))
    small_files(1400)
    for _ in range(3):
        with pytest.raises(OSError, match="File too large"):
            sink.write(line("no", 1000))
    assert sink.error == errno.EFBIG
    assert out.stat().st_size == 1400
    small_files(10_000_000)
    with processes(_write_from_a_process, 1, descriptor, state) as (writer,):
        writer.join(20)
    first, fragment, *others = out.read_bytes().splitlines()
    assert names(first) == ["first"]
    assert fragment == line("no", 1000)[:400]
    assert len(names(b"\n".join(others))) == LINES
    os.close(descriptor)


def test_a_full_device() -> None:
    """Nothing of the line is there, so there is nothing to end."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    state = SinkState()
    with pytest.raises(OSError, match="No space left"):
        DescriptorSink(descriptor, state).write(b"{}\n")
    assert (state.ending, state.error) == (WHOLE, errno.ENOSPC)
    os.close(descriptor)


def _write_slowly(descriptor: int, state: SinkState, name: str) -> None:
    DescriptorSink(descriptor, state, wait=60).write(line(name, 200_000))


def test_a_process_that_is_killed_in_the_middle_of_a_line(pipe: tuple[int, int]) -> None:
    """Its lock is free, and its fragment is ended before the next line."""
    state = SinkState()
    with processes(_write_slowly, 1, pipe[1], state) as (writer,):
        found = os.read(pipe[0], 100)  # it has begun, and the pipe is full again soon
        time.sleep(0.1)
        writer.kill()
        writer.join()
    assert state.ending == BROKEN
    found += drain(pipe[0])
    DescriptorSink(pipe[1], state).write(line("next", 500))
    found += drain(pipe[0])
    fragment, following = found.splitlines()
    assert line("writer-0", 200_000).startswith(fragment)
    assert names(following) == ["next"]


def test_a_process_that_stands_still_in_the_middle_of_a_line(pipe: tuple[int, int]) -> None:
    """Others fail in time, and go on when it does."""
    state = SinkState()
    sink = DescriptorSink(pipe[1], state, wait=WAIT)
    with processes(_write_slowly, 1, pipe[1], state) as (writer,):
        found = os.read(pipe[0], 100)
        os.kill(writer.pid, signal.SIGSTOP)
        own = OwnTime(os.getpid())
        with pytest.raises(OSError, match="another writer holds it"):
            sink.write(line("no", 500))
        assert own.seconds < WAIT + 2 * PROMPT
        assert sink.error == errno.EBUSY
        os.kill(writer.pid, signal.SIGCONT)
        while len(found) < 200_000:
            found += os.read(pipe[0], 65_536)
        writer.join(20)
    sink.write(line("yes", 500))
    assert names(found + drain(pipe[0])) == ["writer-0", "yes"]


def test_several_lines_in_the_time_of_one(pipe: tuple[int, int]) -> None:
    """Nobody else's line comes between, and together they wait no longer."""
    sink = DescriptorSink(pipe[1], wait=WAIT)
    sink.write_all([line(f"{number}", 9000) for number in range(6)])
    assert names(drain(pipe[0])) == [*"012345"]
    own = OwnTime(os.getpid())
    with pytest.raises(TimeoutError):
        sink.write_all([line(f"{number}", 30_000) for number in range(20)])
    assert own.seconds < WAIT + 2 * PROMPT


def test_a_slow_disk_lets_other_threads_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a write that took long, lines are written without keeping Python's lock, for a while."""
    descriptor = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    port = FilePort(descriptor)
    moments = iter([0.0, 0.2, 1.0, 6.0, 6.0])
    monkeypatch.setattr("tokenserver.runtime.output_ports.time.monotonic", lambda: next(moments))
    assert [port.try_write(b"a\n", 2) for _ in range(3)] == [2, 0, 2]
    monkeypatch.undo()
    assert port.send(b"b\n") == 2
    port.wait(0.0)
    assert (port.has_room(), port.is_gone()) == (True, False)
    assert (tmp_path / "out").read_bytes() == b"a\na\nb\n"
    os.close(descriptor)


def test_a_named_pipe_without_a_reader(tmp_path: Path) -> None:
    """It cannot be opened once more, and is written to in small pieces; a reader that comes later gets the lines."""
    os.mkfifo(tmp_path / "fifo")
    reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(tmp_path / "fifo", os.O_WRONLY)
    os.close(reading)
    assert type(open_port(writing)) is PolledPort
    sink = DescriptorSink(writing)
    with pytest.raises(BrokenPipeError):
        sink.write(line("no", 500))
    reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    sink.write(line("yes", 50_000))
    assert names(drain(reading)) == ["yes"]
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("lock", [RobustMutex, RecordLock])
def test_one_process_after_the_other(lock: type, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    """With either kind of lock; the system that runs the tests has the fast one."""
    if lock is RecordLock:
        monkeypatch.setattr("tokenserver.runtime.shared_lock.sys.platform", "elsewhere")
    state = SinkState()
    assert type(state.lock) is lock
    found = b""
    with processes(_write_from_a_process, 3, pipe[1], state) as writers:
        while any(writer.is_alive() for writer in writers):
            found += drain(pipe[0])
            time.sleep(0.001)
        assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(names(found + drain(pipe[0]))) == 3 * LINES
