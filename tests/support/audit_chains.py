"""Chains of audit events as servers write them, and what a verification finds in files of them."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from key_folders import ISSUER

from tokenserver.audit.chain.findings import ChainFinding, ChainSummary
from tokenserver.audit.chain.verifier import ChainVerifier
from tokenserver.audit.chain.window import TimeSpan, WindowSeals
from tokenserver.exchange.audit_chain.links import GROUP
from tokenserver.exchange.audit_chain.record import ChainRecord
from tokenserver.exchange.audit_chain.seal_check import SealKeys
from tokenserver.exchange.audit_chain.sealer import SEAL_SECONDS, Sealer
from tokenserver.exchange.audit_chain.sink import MAX_PLAIN, ChainedSink
from tokenserver.exchange.audit_chain.state import ChainState
from tokenserver.exchange.audit_events import spell_time
from tokenserver.keys.certificates import generate_p256, issue_certificate, make_ca, signing_key
from tokenserver.keys.ring import Algorithm, SigningKey

START = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)

CA_KEY = generate_p256()
CA = make_ca(CA_KEY, issuer=ISSUER, now=START)
KEYS = SealKeys([CA])


def key(name: str = "first", now: datetime = START) -> SigningKey:
    """A signing key with a certificate of the token CA."""
    private = generate_p256()
    certificate = issue_certificate(private, ca=CA, ca_key=CA_KEY, issuer=ISSUER, now=now)
    return signing_key(name, Algorithm.ES256, private, certificate)


class Writer:
    """A server of one process that writes to a file, and a clock that a test moves."""

    def __init__(
        self,
        path: Path,
        signs: SigningKey,
        state: ChainState | None = None,
        record: ChainRecord | None = None,
        *,
        group: int = GROUP,
    ) -> None:
        self.now = START.timestamp()
        self.path = path
        self.key = signs
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._close = weakref.finalize(self, os.close, self.descriptor)
        self.sink = ChainedSink(self.descriptor, state, now=lambda: self.now, group=group)
        self.sealer = Sealer(self.sink, lambda: self.key, now=lambda: self.now, record=record)

    def event(self, name: str = "x") -> bytes:
        """An event as the trail hands it to the sink, if it does not know its link."""
        return f'{{"time":"{spell_time(self.now)}","event":"exchange","name":"{name}"}}\n'.encode()

    def put(self, name: str = "x") -> None:
        """Write an event as the trail does: with its link, if that is known and the event is not long."""
        number, event = self.sink.plain, self.event(name)
        if number and len(event) < MAX_PLAIN - 40:
            text = event.decode().removesuffix("}\n")
            self.sink.write_plain(f'{text}{self.sink.start}{number}"}}\n', number)
        else:
            self.sink.write(event)

    def write(self, count: int = 1) -> None:
        """Write events, a second apart."""
        for _ in range(count):
            self.now += 1
            self.put()

    def seal(self) -> None:
        """Let a minute pass, and seal."""
        self.now += SEAL_SECONDS
        self.sealer.check()

    @property
    def lines(self) -> list[bytes]:
        """The lines so far, without newlines."""
        return self.path.read_bytes().split(b"\n")[:-1]

    def close(self) -> None:
        """Close the file, as the end of the process does."""
        self._close()


def chain(*counts: int, closes: bool = True, signs: SigningKey | None = None, group: int = GROUP) -> list[bytes]:
    """The lines of a chain: a seal, then events with a seal after each of `counts` of them."""
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "lines", signs or key(), group=group)
        writer.sealer.check()
        for count in counts:
            writer.write(count)
            writer.seal()
        if closes:
            writer.sealer.close()
        lines = writer.lines
        writer.close()
    return lines


class Verified(NamedTuple):
    """What a verification found."""

    findings: list[ChainFinding]
    notes: list[str]
    chains: list[ChainSummary]
    verifier: ChainVerifier

    @property
    def told(self) -> list[tuple[str, str]]:
        """The kind and place of each finding."""
        return [(finding.kind.value, str(finding.place)) for finding in self.findings]


def verify(
    files: Mapping[str, Iterable[bytes]] | Sequence[bytes], keys: SealKeys = KEYS, span: TimeSpan | None = None
) -> Verified:
    """Verify files by their names, or the lines of a single one, `log`; with a span of time, what is within."""
    findings: list[ChainFinding] = []
    notes: list[str] = []
    named = files if isinstance(files, Mapping) else {"log": files}
    window = None
    if span is not None:
        seals = WindowSeals(keys.open_seal, span)
        for lines in named.values():
            for line in lines:
                seals.read(line)
        window = seals.window()
    verifier = ChainVerifier(keys.open_seal, findings.append, notes.append, window)
    for name, lines in named.items():
        verifier.begin(name)
        for line in lines:
            verifier.read(line)
        verifier.end()
    return Verified(findings, notes, verifier.finish(), verifier)


def kinds(files: Mapping[str, Iterable[bytes]] | Sequence[bytes]) -> set[str]:
    """The kinds of what a verification finds."""
    return {finding.kind.value for finding in verify(files).findings}


Make = Callable[[], list[bytes]]
LATER = timedelta(days=1)
