"""What seals state about the chains of other processes, compared with what the files have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tokenserver.audit.chain.findings import ChainFinding, ChainSummary, FindingKind, LogPlace
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
        self._since: dict[str, str] = {}
        self._stated: dict[tuple[str, str], _Stated] = {}

    def add(self, chain: str, seal: Seal, place: LogPlace) -> None:
        """Add what a seal of `chain` states, whose signature is right."""
        self._since[chain] = min(seal.time, self._since.get(chain, seal.time))
        for other in seal.others:
            known = self._stated.get((other.chain, chain))
            if known is None or known.other.number < other.number:
                self._stated[other.chain, chain] = _Stated(other, place)

    def finish(
        self,
        chains: Mapping[str, ChainSummary],
        report: Callable[[ChainFinding], None],
        note: Callable[[str], None],
    ) -> None:
        """Report chains that are missing, or shorter than they were, given those that there are."""
        missing: dict[str, _Stated] = {}
        noted: dict[str, _Stated] = {}
        for (name, by), stated in self._stated.items():
            there = chains.get(name)
            if there is not None and there.last >= stated.other.number:
                continue
            found = missing if there is not None or stated.other.since >= self._since[by] else noted
            if name not in found or found[name].other.number < stated.other.number:
                found[name] = stated
        for name, stated in missing.items():
            there = chains.get(name)
            has = "nothing is" if there is None else f"nothing after number {there.last:,} is"
            message = f"this seal states number {stated.other.number:,} of chain {name}, of which {has} in these files"
            report(ChainFinding(FindingKind.REMOVED, stated.place, name, message))
        for name, stated in noted.items():
            if name not in missing:
                note(
                    f"chain {name}, of which a seal states number {stated.other.number:,} ({stated.place}), is not in"
                    " these files, and may be older than they are"
                )
