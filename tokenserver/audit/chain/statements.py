"""What seals state about the chains of other processes, compared with what the files have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tokenserver.audit.chain.findings import ChainFinding, FindingKind, LogPlace
from tokenserver.audit.chain.wording import earliest, what_is_there
from tokenserver.exchange.audit_chain.seal_text import Seal, StatedChain


class _Stated(NamedTuple):
    """The statement, and the line that it is in."""

    other: StatedChain
    place: LogPlace


class Statements:
    """The highest number that the seals of each chain state of each other one.

    A line that was written after a seal has to be where that seal is, or after it. One from before may have been
    deleted with older files. The times are those of seals, since nobody else can set them.
    """

    def __init__(self) -> None:
        self.since: dict[str, str] = {}
        """The time of the first seal of each chain."""
        self._servers: dict[str, str] = {}
        self._stated: dict[tuple[str, str], _Stated] = {}
        self._before: dict[tuple[str, str], _Stated] = {}

    def add(self, chain: str, seal: Seal, place: LogPlace) -> None:
        """Add what a seal of `chain` states, whose signature is right."""
        self.since[chain] = min(seal.time, self.since.get(chain, seal.time))
        if seal.server:
            self._servers[chain] = seal.server
        for stated, others in ((self._stated, seal.others), (self._before, seal.before)):
            for other in others:
                known = stated.get((other.chain, chain))
                if known is None or known.other.number < other.number:
                    stated[other.chain, chain] = _Stated(other, place)

    def finish(
        self,
        last: Mapping[str, int],
        report: Callable[[ChainFinding], None],
        note: Callable[[str], None],
    ) -> None:
        """Report chains that are missing, or shorter than they were, given the last number of those that there are.

        One of an earlier run is missing if the files have anything that this server has sealed before its last line.
        """
        missing: dict[str, _Stated] = {}
        noted: dict[str, _Stated] = {}
        begins = earliest((self._servers.get(chain, ""), since) for chain, since in self.since.items())
        stated = [(name, one, self.since[by]) for (name, by), one in self._stated.items()]
        stated += [(name, one, begins[self._servers.get(by, "")]) for (name, by), one in self._before.items()]
        for name, one, begin in stated:
            if last.get(name, 0) >= one.other.number:
                continue
            found = missing if name in last or one.other.since >= begin else noted
            if name not in found or found[name].other.number < one.other.number:
                found[name] = one
        for name, one in missing.items():
            has = what_is_there(last.get(name))
            message = f"this seal states number {one.other.number:,} of chain {name}, of which {has} in these files"
            report(ChainFinding(FindingKind.REMOVED, one.place, name, message))
        for name, one in noted.items():
            if name not in missing:
                note(
                    f"chain {name}, of which a seal states number {one.other.number:,} ({one.place}), is not in"
                    " these files, and may be older than they are"
                )
