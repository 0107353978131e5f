"""The sink of a chained trail: the chain stays verifiable whatever happens to a write, a process or the reader."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from audit_chains import Writer, key, verify
from forked_processes import Forked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.audit_chain.links import MAX_MEMBER
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_chain.state import CUT_FROM, NUMBER
from tokenserver.exchange.audit_events import MAX_EVENT
from tokenserver.exchange.audit_sink import DescriptorSink

SIGNS = key()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A server that writes to a file."""
    writer = Writer(tmp_path / "lines", SIGNS)
    yield writer
    writer.close()


def test_the_fast_and_the_slow_way_agree(writer: Writer) -> None:
    """`write` and `write_all` make the same links."""
    writer.sink.write(writer.event())
    writer.sink.write_all([writer.event(), writer.event()])
    writer.sink.write(writer.event())
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes, found.chains[0].last) == ([], [], 5)


def test_a_link_is_no_longer_than_it_may_be(writer: Writer) -> None:
    """Even the longest one, so that an event of the largest size stays below the limit of a line."""
    writer.sink.state.chain[NUMBER] = 10**15
    writer.sink.state.note_break()
    writer.sink.state.chain[CUT_FROM] = 1
    before = writer.event()
    writer.sink.write(before)
    assert len(writer.lines[0]) + 1 - len(before) <= MAX_MEMBER == writer.sink.added


def test_a_large_event_is_split_with_room_for_links(writer: Writer) -> None:
    """No line is longer than `MAX_EVENT`, its link included."""
    trail = AuditTrail(writer.sink, now=lambda: writer.now, policy=lambda: "digest")
    for size in range(MAX_EVENT - 400, MAX_EVENT + 50, 7):
        trail.record({"event": "exchange", "asked": ["x" * 1000] * 60, "fill": ["y" * (size - 60 * 1003 - 100)]})
    assert max(map(len, writer.lines)) + 1 <= MAX_EVENT
    assert verify(writer.lines).findings == []


def test_several_processes_write_one_chain(writer: Writer) -> None:
    """Their lines are numbered as they are written."""

    def write() -> None:
        for _ in range(300):
            writer.sink.write(writer.event("x" * 500))

    for child in [Forked(write) for _ in range(3)]:
        assert child.ended()[0] == 0
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes, found.chains[0].last) == ([], [], 901)


def test_a_full_disk(writer: Writer) -> None:
    """A line that was cut off, and lines that were not written at all: the chain goes on, and says so."""

    def write() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        writer.write(3)
        full = writer.path.stat().st_size + 70
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        for _ in range(3):
            with pytest.raises(OSError, match="large"):
                writer.sink.write(writer.event())
        assert writer.path.stat().st_size == full
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.write(3)
        writer.sealer.close()

    assert Forked(write).ended()[0] == 0
    found = verify(writer.lines)
    assert found.findings == []
    assert len(found.notes) == 1
    assert "number 4 after log:3 could not be written as a whole" in found.notes[0]


def test_a_log_line_ends_the_fragment(writer: Writer) -> None:
    """With `2>&1` the sink of the log may meet what was cut off first; the chain knows of it all the same."""

    def write() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        log = DescriptorSink(writer.descriptor, writer.sink.state)
        writer.write(2)
        full = writer.path.stat().st_size + 30
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        with pytest.raises(OSError, match="large"):
            writer.sink.write(writer.event())
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.write(b'{"level":"info"}\n')
        writer.write(2)
        writer.sealer.close()

    assert Forked(write).ended()[0] == 0
    found = verify(writer.lines)
    assert (found.findings, len(found.notes)) == ([], 1)


def test_a_reader_that_stops() -> None:
    """The rest of a line is kept and written later: nothing is missing."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    sink = ChainedSink(writing, wait=0.05)
    event = b'{"time":"2027-01-31T12:00:00.000Z","event":"exchange","fill":"%s"}\n' % (b"x" * 40_000)
    refused = 0
    for _ in range(4):
        try:
            sink.write(event)
        except OSError:
            refused += 1
    assert refused
    data = os.read(reading, 1 << 20)
    sink.write(event)
    data += os.read(reading, 1 << 20)
    os.close(reading)
    os.close(writing)
    found = verify(data.split(b"\n")[:-1])
    assert (found.findings, found.chains[0].first) == ([], 1)
    assert len(found.notes) == 1


def die_at(number: int) -> Callable[..., None]:
    """A tracer that ends the process before its instruction of this number in the modules of the sink."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        code = frame.f_code  # type: ignore[attr-defined]
        if "audit_chain" not in code.co_filename and "audit_sink" not in code.co_filename:
            return None
        frame.f_trace_opcodes = True  # type: ignore[attr-defined]
        if event == "opcode":
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace  # type: ignore[return-value]


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.nightly), 11])
@pytest.mark.parametrize("way", ["fast", "slow", "seal"])
def test_a_writer_that_is_killed_at_any_instruction(writer: Writer, way: str, step: int) -> None:
    """Between any two instructions of a write: no line is missed, and at most the line in progress is said to be."""

    def write(number: int) -> None:
        sys.settrace(die_at(number))
        if way == "seal":
            writer.sealer.close()
        elif way == "fast":
            writer.sink.write(writer.event("killed"))
        else:
            writer.sink.write_all([writer.event("killed")])
        sys.settrace(None)

    number, is_over = 0, False
    while not is_over:
        number += step
        is_over = Forked(lambda number=number: write(number)).ended()[0] == 0  # type: ignore[misc]
        writer.sink.write(writer.event("after"))
    assert number > 50
    writer.sealer.close()
    found = verify(writer.lines)
    assert [str(finding) for finding in found.findings] == []
    assert found.chains[0].is_closed


@given(st.lists(st.sampled_from(["write", "cut", "none", "broken log line"]), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_faults(tmp_path: Path, faults: list[str]) -> None:
    """Lines that were cut off, whole or not, one after the other or not: no finding, and each fragment is noted."""
    path = tmp_path / "lines"
    path.unlink(missing_ok=True)
    writer = Writer(path, SIGNS)

    def fail(data: bytes) -> int:
        raise OSError(28, "No space left on device")

    def cut(data: bytes) -> int:
        if data == b"\n":  # which ends the fragment before
            return os.write(writer.descriptor, data)
        writer.sink._port.send = fail  # type: ignore[method-assign]
        return os.write(writer.descriptor, data[: len(data) // 2])

    usual = writer.sink._port.send
    for fault in faults:
        if fault == "write":
            writer.write(1)
        elif fault == "broken log line":
            writer.sink.state.ending = 1
        else:
            writer.sink._port.send = cut if fault == "cut" else fail  # type: ignore[method-assign]
            with pytest.raises(OSError, match="space"):
                writer.sink.write_all([writer.event()])
            writer.sink._port.send = usual  # type: ignore[method-assign]
    writer.write(1)
    writer.sealer.close()
    lines = writer.lines
    writer.close()
    assert verify(lines).findings == []
