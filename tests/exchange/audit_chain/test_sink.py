"""The sink of a chained trail: the chain stays verifiable whatever happens to a write, a process or the reader."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from audit_chains import KEYS, Writer, key, verify
from forked_processes import Forked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.audit.chain.findings import FindingKind
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.audit_chain.links import GROUP, MAX_MEMBER, read_link
from tokenserver.exchange.audit_chain.seal_text import StatedChain, seal_of_members
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_events import MAX_EVENT
from tokenserver.exchange.audit_sink import DescriptorSink

SIGNS = key()
SMALL = 32
"""A group that examples may exceed, and be short."""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A server that writes to a file."""
    writer = Writer(tmp_path / "lines", SIGNS)
    yield writer
    writer.close()


def test_the_fast_and_the_slow_way_agree(writer: Writer) -> None:
    """`write_plain`, `write` and `write_all` make the same links, over several groups."""
    for number in range(3 * GROUP):
        if number % 3:
            writer.put()
        else:
            writer.sink.write_all([writer.event(), writer.event()])
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes, found.chains[0].last) == ([], [], 4 * GROUP + 1)


@pytest.mark.parametrize("between", [1, GROUP - 1, GROUP, GROUP + 1], ids=["one", "all but one", "a group", "more"])
def test_a_number_that_another_thread_has_used(writer: Writer, between: int) -> None:
    """The line gets the link that is next by then, with a digest or without."""
    writer.write(2)
    number = writer.sink.plain
    text = writer.event("late").decode().removesuffix("}\n") + f'{writer.sink.start}{number}"}}\n'
    writer.write(between)
    writer.sink.write_plain(text, number)
    writer.sealer.close()
    late = [json.loads(line)["chain"] for line in writer.lines if b'"late"' in line]
    assert [link.split(":")[1] for link in late] == [str(number + between)]
    assert (verify(writer.lines).findings, verify(writer.lines).notes) == ([], [])


def test_threads_write_one_chain(writer: Writer) -> None:
    """However often one has made its line for a number that another one then writes."""

    def write() -> None:
        for _ in range(2 * GROUP):
            writer.put("x" * 300)

    threads = [Thread(target=write) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes, found.chains[0].last) == ([], [], 8 * GROUP + 1)


def test_a_seal_that_was_not_made_asks_for_a_digest(writer: Writer) -> None:
    """A line that was made for the number before gets it."""
    writer.write(3)
    number = writer.sink.plain
    with pytest.raises(RuntimeError):
        writer.sink.seal(_fail, at=writer.now, closes=False)
    assert writer.sink.plain == 0
    text = writer.event("late").decode().removesuffix("}\n") + f'{writer.sink.start}{number}"}}\n'
    writer.sink.write_plain(text, number)
    assert json.loads(writer.lines[-1])["chain"].count(":") == 2
    writer.sealer.close()
    assert verify(writer.lines).findings == []


def _fail(_link: str, _others: object) -> str:
    raise RuntimeError


def test_every_group_has_a_digest(writer: Writer) -> None:
    """The first line, the last of each group, and after a seal it is counted again; it can be computed by hand."""
    writer.write(2 * GROUP + 5)
    writer.seal()
    writer.write(GROUP)
    links = [json.loads(line)["chain"].split(":") for line in writer.lines]
    seal = 2 * GROUP + 6
    assert [int(link[1]) for link in links if len(link) > 2] == [1, 1 + GROUP, 1 + 2 * GROUP, seal, seal + GROUP]
    group = b"".join(line + b"\n" for line in writer.lines[:GROUP])
    assert links[GROUP][2] == hashlib.sha256(group).hexdigest()
    assert links[0][2] == hashlib.sha256(b"").hexdigest()


def test_a_link_is_no_longer_than_it_may_be(writer: Writer) -> None:
    """Even the longest one, so that an event of the largest size stays below the limit of a line."""
    writer.sink._stand(10**16 - 2, 0, 10**16 - 2)
    before = writer.event()
    writer.sink.write(before)
    link = read_link(json.loads(writer.lines[0])["chain"])
    assert link is not None
    assert (link.number, link.cut) == (10**16 - 1, 10**16 - 2)
    assert len(writer.lines[0]) + 1 - len(before) <= MAX_MEMBER


def test_a_large_event_is_split_with_room_for_links(writer: Writer) -> None:
    """No line is longer than `MAX_EVENT`, its link included."""
    trail = AuditTrail(writer.sink, now=lambda: writer.now, policy=lambda: "digest")
    for size in range(MAX_EVENT - 400, MAX_EVENT + 50, 7):
        trail.record({"event": "exchange", "asked": ["x" * 1000] * 60, "fill": ["y" * (size - 60 * 1003 - 100)]})
    assert max(map(len, writer.lines)) + 1 <= MAX_EVENT
    assert verify(writer.lines).findings == []


def test_several_processes_write_a_chain_each(writer: Writer) -> None:
    """Their lines are mixed and whole, and their seals state each other."""

    def write() -> None:
        other = Writer(writer.path, SIGNS, writer.sink.state)
        for _ in range(300):
            other.put("x" * 500)
        other.sealer.close()

    writer.sealer.check()
    for child in [Forked(write) for _ in range(3)]:
        assert child.ended()[0] == 0
    writer.sealer.close()
    found = verify(writer.lines)
    assert (found.findings, found.notes) == ([], [])
    others = [chain for chain in found.chains if chain.chain != writer.sink.chain]
    assert [chain.last for chain in others] == [301] * 3
    for chain in others:
        left = [line for line in writer.lines if f'"chain":"{chain.chain}:'.encode() not in line]
        assert [(one.kind, one.chain) for one in verify(left).findings] == [(FindingKind.REMOVED, chain.chain)]


def test_an_event_larger_than_what_is_hashed_in_one_go(writer: Writer) -> None:
    """It is hashed in pieces."""
    for size in (2046, 2047, 2048, 10_000, 40_000):
        writer.put("x" * size)
        writer.put("x" * size)
    writer.sealer.close()
    assert (verify(writer.lines).findings, verify(writer.lines).notes) == ([], [])


def test_a_full_disk(writer: Writer) -> None:
    """A line that was cut off, and lines that were not written at all: the chain goes on, and says so."""

    def write() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        writer.write(3)
        full = writer.path.stat().st_size + 70
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        for _ in range(3):
            with pytest.raises(OSError, match="large"):
                writer.put()
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
            writer.put()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.write(b'{"level":"info"}\n')
        writer.write(2)
        writer.sealer.close()

    assert Forked(write).ended()[0] == 0
    found = verify(writer.lines)
    assert (found.findings, len(found.notes)) == ([], 1)


def test_a_reader_that_stops() -> None:
    """The rest of a line is kept and written later: nothing is missing, and it is said what no digest proves."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    sink = ChainedSink(writing, wait=0.05)
    event = f'{{"time":"2027-01-31T12:00:00.000Z","event":"exchange","fill":"{"x" * 40_000}"}}\n'.encode()
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
    kept, end = found.notes
    assert "could not be written in one go" in kept
    assert "are not sealed" in end


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


SOME = [("first", 23), ("fast", 11), ("slow", 23), ("seal", 211)]  # primes, for some fifty places in each
ALL = [pytest.param(way, 1, marks=pytest.mark.nightly) for way, _ in SOME]


@pytest.mark.parametrize(("way", "step"), [*SOME, *ALL])
def test_a_writer_that_is_killed_at_any_instruction(writer: Writer, way: str, step: int) -> None:
    """Between any two instructions of a write: its chain ends there, others state it, and nothing is missed."""

    def write(number: int) -> None:
        killed = Writer(writer.path, SIGNS, writer.sink.state)
        if way != "first":
            killed.write(2)
        sys.settrace(die_at(number))
        if way == "seal":
            killed.sealer.close()
        elif way == "slow":
            killed.sink.write_all([killed.event("killed")])
        else:
            killed.put("killed")
        sys.settrace(None)

    number, rounds, is_over = 0, 0, False
    while not is_over:
        number += step
        rounds += 1
        is_over = Forked(lambda number=number: write(number)).ended()[0] == 0  # type: ignore[misc]
        writer.seal() if rounds % 20 else writer.write(1)
    assert number > 50
    writer.sealer.close()
    found = verify(writer.lines)
    assert [str(finding) for finding in found.findings] == []
    own, *others = sorted(found.chains, key=lambda chain: chain.chain != writer.sink.chain)
    assert own.is_closed
    assert len(others) == rounds if way != "first" else 0 < len(others) <= rounds
    assert all(chain.first == 1 for chain in found.chains)
    stated = {other.chain: other.number for line in writer.lines for other in _others(line)}
    assert {chain.chain for chain in others if chain.last > 1} <= stated.keys()
    assert all(0 <= chain.last - stated.get(chain.chain, 0) <= 1 for chain in others)


def _others(line: bytes) -> tuple[StatedChain, ...]:
    event = json.loads(line) if line.endswith(b"}") else {}
    return KEYS.open_seal(seal_of_members(event["seal"])).others if "seal" in event else ()


FAULTS = ["write", "write", "cut", "cut at first", "late", "none", "broken log line"]


@given(st.lists(st.sampled_from(FAULTS), max_size=2 * SMALL))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_faults(tmp_path: Path, faults: list[str]) -> None:
    """Lines that were cut off, whole or not, one after the other or not: no finding, and each fragment is noted."""
    path = tmp_path / "lines"
    path.unlink(missing_ok=True)
    writer = Writer(path, SIGNS, group=SMALL)

    def fail(data: bytes) -> int:
        raise OSError(28, "No space left on device")

    def cut(data: bytes) -> int:
        if data == b"\n":  # which ends the fragment before
            return os.write(writer.descriptor, data)
        writer.sink._port.send = fail  # type: ignore[method-assign]
        return os.write(writer.descriptor, data[: len(data) // 2])

    usual, usually = writer.sink._port.send, writer.sink._try_write
    for fault in faults:
        if fault == "write":
            writer.write(1)
        elif fault == "broken log line":
            writer.sink.state.ending = 1
        elif fault == "late":  # the rest was kept, and another process has written it
            assert writer.sink._ended()
            line = writer.sink._linked(writer.event())
            writer.sink._begin_line()
            os.write(writer.descriptor, line)
        elif fault == "cut at first":
            writer.sink._port.send = fail  # type: ignore[method-assign]
            writer.sink._try_write = lambda line, size: os.write(writer.descriptor, line[: size // 2])
            writer.sink.state.unblock()
            with pytest.raises(OSError, match="space"):
                writer.put()
            writer.sink._port.send, writer.sink._try_write = usual, usually  # type: ignore[method-assign]
        else:
            writer.sink._port.send = cut if fault == "cut" else fail  # type: ignore[method-assign]
            with pytest.raises(OSError, match="space"):
                writer.sink.write_all([writer.event()])
            writer.sink._port.send = usual  # type: ignore[method-assign]
    writer.write(1)
    writer.sealer.close()
    lines = writer.lines
    writer.close()
    found = verify(lines)
    assert found.findings == []
    assert bool(found.notes) == ("late" in faults or any(line and not line.endswith(b"}") for line in lines))
