"""The chains that a storage knows, compared with what files have: what is missing as a whole, or at an end. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tokenserver.audit.chain.findings import ChainFinding, FindingKind, LogPlace
from tokenserver.audit.chain.wording import earliest, what_is_there

STORAGE = LogPlace("storage", 0)
"""Where a finding is that the storage alone shows."""


class RecordedChain(NamedTuple):
    """What the storage says: `server` has sealed the line `number` of `chain`. Times are as seals have them (RFC 3339):
    `began` is that of the first seal, `sealed` that of the last.
    """

    server: str
    chain: str
    began: str
    number: int
    sealed: str
    is_closed: bool


class FoundChain(NamedTuple):
    """What the files have of a chain: its highest number, and the time of its first seal there, empty without one."""

    last: int
    since: str


@dataclass(frozen=True, slots=True)
class ServerSummary:
    """What the storage knows about a server: how many chains, and when the last one was sealed.

    `is_ended`: the last one was closed, so the server has stopped as it should.
    """

    server: str
    chains: int
    began: str
    last_seen: str
    is_ended: bool


def compare_recorded(
    recorded: Sequence[RecordedChain],
    found: Mapping[str, FoundChain],
    report: Callable[[ChainFinding], None],
    note: Callable[[str], None],
    *,
    since: str = "",
    until: str = "",
) -> None:
    """Report the chains that are missing in the files, or end too early there.

    `since` and `until` are times between which the files should have everything. Without `since`, that is from the
    first seal on that the files have of a server, or of any if they have none of it: older files may have been deleted.
    """
    servers = {one.chain: one.server for one in recorded}
    begins = earliest((servers.get(chain, ""), there.since) for chain, there in found.items() if there.since)
    first = min(begins.values(), default="")
    older, later = [], []
    for one in recorded:
        there = found.get(one.chain)
        is_later = bool(until) and one.sealed >= until
        if there is not None:
            if there.last < one.number and not is_later:
                report(_finding(one, there.last))
            continue
        begin = since or begins.get(one.server, first)
        if one.sealed < begin or not begin:
            older.append(one)
        elif not is_later or begin <= one.began < until:
            report(_finding(one, None))
        else:
            later.append(one)
    _note(older, "ended before the time that these files have, and", note)
    _note(later, "went on after that time, and may have no line before; they", note)


def servers_of(recorded: Iterable[RecordedChain]) -> list[ServerSummary]:
    """The servers in the order of their beginnings; one that is gone for good is seen no more, which is no finding."""
    by_server: dict[str, list[RecordedChain]] = {}
    for one in recorded:
        by_server.setdefault(one.server, []).append(one)
    found = [_summary(server, chains) for server, chains in by_server.items()]
    return sorted(found, key=lambda one: (one.began, one.server))


def _summary(server: str, chains: Sequence[RecordedChain]) -> ServerSummary:
    last = max(chains, key=lambda one: (one.sealed, one.is_closed))
    began = min(one.began for one in chains)
    return ServerSummary(server, len(chains), began, last.sealed, last.is_closed)


def _finding(one: RecordedChain, last: int | None) -> ChainFinding:
    message = (
        f"the storage knows number {one.number:,} of chain {one.chain} of {one.server}, begun {one.began} and sealed"
        f" {one.sealed}, of which {what_is_there(last)} in these files; a machine that lost power, or a log that was"
        " restored from a backup, may lack lines as well"
    )
    return ChainFinding(FindingKind.REMOVED, STORAGE, one.chain, message)


def _note(chains: Sequence[RecordedChain], why: str, note: Callable[[str], None]) -> None:
    if chains:
        last = max(one.sealed for one in chains)
        names = ", ".join(sorted({one.server for one in chains})[:3])
        what = "chain" if len(chains) == 1 else "chains"
        note(
            f"{len(chains):,} {what} that the storage knows ({names}, last sealed {last}) {why} are not in these files"
        )
