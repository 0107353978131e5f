"""When the chain is sealed, and what happens if it cannot be."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_chains import KEYS, Writer, key, verify

from tokenserver.errors import SigningFailed
from tokenserver.exchange.audit_chain.record import ChainRecord
from tokenserver.exchange.audit_chain.seal_text import Seal, StatedChain, seal_of_members
from tokenserver.exchange.audit_chain.sealer import SEAL_SECONDS, Sealer
from tokenserver.keys.ring import SigningKey

SIGNS = key()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A server that has written nothing yet."""
    writer = Writer(tmp_path / "lines", SIGNS)
    yield writer
    writer.close()


def events(writer: Writer) -> list[str]:
    return [json.loads(line)["event"] for line in writer.lines]


def test_a_chain_begins_with_a_seal(writer: Writer) -> None:
    """So that a server that gets no request has one."""
    writer.sealer.check()
    assert events(writer) == ["audit_seal"]


def test_there_is_one_a_minute(writer: Writer) -> None:
    """While there are new lines, and none while there are none."""
    writer.sealer.check()
    writer.now += SEAL_SECONDS * 10
    writer.sealer.check()
    assert len(writer.lines) == 1
    writer.write(1)
    writer.sealer.check()
    assert events(writer) == ["audit_seal", "exchange", "audit_seal"]
    writer.write(1)
    writer.sealer.check()
    assert len(writer.lines) == 4
    writer.now += SEAL_SECONDS
    writer.sealer.check()
    writer.sealer.check()
    assert len(writer.lines) == 5


def test_the_clock_goes_back(writer: Writer) -> None:
    """It is sealed nevertheless."""
    writer.sealer.check()
    writer.write(1)
    writer.now -= 10_000
    writer.sealer.check()
    assert events(writer)[-1] == "audit_seal"
    assert verify(writer.lines).findings == [] or "not within" in verify(writer.lines).findings[0].message


def test_workers_seal_once(writer: Writer) -> None:
    """Whichever of them comes first; and at the end, the last one that wrote."""
    other = Sealer(writer.sink, lambda: SIGNS, now=lambda: writer.now)
    writer.sealer.check()
    other.check()
    writer.write(1)
    writer.sealer.close()
    other.close()
    assert events(writer) == ["audit_seal", "exchange", "audit_seal"]
    writer.write(1)
    other.close()
    assert events(writer)[-2:] == ["exchange", "audit_seal"]


def test_an_idle_server_closes_its_chain(writer: Writer) -> None:
    """Its first seal does not close, so there is another one."""
    writer.sealer.check()
    writer.sealer.close()
    assert len(writer.lines) == 2
    assert verify(writer.lines).chains[0].is_closed


def test_a_key_that_does_not_sign(writer: Writer, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once a minute, no line is written, and events are linked nevertheless."""

    def fail() -> SigningKey:
        raise SigningFailed("the key k1 did not sign: ValueError")

    sealer = Sealer(writer.sink, fail, now=lambda: writer.now)
    with caplog.at_level(logging.ERROR):
        sealer.check()
        sealer.check()
    assert caplog.messages == ["the audit trail cannot be sealed: the key k1 did not sign: ValueError"]
    assert writer.lines == []
    writer.write(2)
    writer.sealer.check()
    assert events(writer) == ["exchange", "exchange", "audit_seal"]
    assert verify(writer.lines).findings == []


def test_a_sink_that_takes_nothing(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trail reports that; a seal follows when it takes lines again."""

    def full(data: bytes) -> int:
        raise OSError(28, "No space left on device")

    writer.write(1)
    with monkeypatch.context() as patched:
        patched.setattr(writer.sink._port, "send", full)
        writer.sealer.check()
        assert writer.sink.error == 28
        writer.sealer.check()
    assert events(writer) == ["exchange"]
    writer.put()
    writer.sealer.check()
    assert events(writer) == ["exchange", "exchange", "audit_seal"]
    assert verify(writer.lines).findings == []


def seals(writer: Writer) -> list[Seal]:
    return [KEYS.open_seal(seal_of_members(json.loads(line)["seal"])) for line in writer.lines if b"audit_seal" in line]


def test_a_record(tmp_path: Path) -> None:
    """Seals have the name of the server; one states what came before, and each is recorded once it is written."""
    before = [StatedChain("AAAAAAAA", 7, "2027-01-31T11:00:00.000Z")]
    record = ChainRecord("host :1")
    writer = Writer(tmp_path / "lines", SIGNS, record=record)
    writer.sealer.check()
    assert (writer.lines, record.newest) == ([], None)
    record.came_before(before)
    finished = []
    record.finish = lambda: finished.append(record.newest)
    writer.sealer.check()
    writer.write(1)
    writer.seal()
    writer.sealer.close()
    writer.close()
    assert [(seal.server, seal.before) for seal in seals(writer)] == [
        ("host :1", tuple(before)),
        *[("host :1", ())] * 2,
    ]
    assert record.newest is not None
    assert (record.newest.chain, record.newest.number, record.newest.is_closed) == (writer.sink.chain, 4, True)
    assert (record.stated(), finished) == (before, [record.newest])


def test_a_seal_that_is_not_written_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the storage must not know more than the file has (docs/design/threats.md#threat-239)."""

    def full(data: bytes) -> int:
        raise OSError(28, "No space left on device")

    record = ChainRecord("host :1")
    record.came_before([StatedChain("AAAAAAAA", 7, "2027-01-31T11:00:00.000Z")])
    writer = Writer(tmp_path / "lines", SIGNS, record=record)
    with monkeypatch.context() as patched:
        patched.setattr(writer.sink._port, "send", full)
        writer.sealer.check()
        assert (record.newest, record.stated()) == (None, ())
    writer.put()
    writer.sealer.check()
    writer.close()
    assert record.newest is not None
    assert [len(seal.before) for seal in seals(writer)] == [1]
