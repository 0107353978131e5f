"""What a verification finds: what is wrong with which line, and what else an auditor has to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class LogPlace(NamedTuple):
    """A line of a file; lines count from one. What is in no line of a file has the line 0."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class FindingKind(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    ADDED = "not in a chain"
    ENCODED_AGAIN = "encoded again"
    FORGED_SEAL = "forged seal"
    UNKNOWN_KEY = "unknown key"
    UNSEALED = "not sealed"
    FORGED_RECORD = "forged record"


ADVICE = {
    FindingKind.CHANGED: "compare these lines with another copy of the log, and find out who can write to these files",
    FindingKind.REMOVED: "name the file that has them, if there is one; else find out who can write to these files",
    FindingKind.REORDERED: "if files were joined, name each by itself; some collectors deliver lines out of order",
    FindingKind.DUPLICATED: "if two files overlap, leave one of them out; some collectors deliver lines twice",
    FindingKind.ADDED: "find out who can write to these files, or since when the server runs without audit.chain",
    FindingKind.ENCODED_AGAIN: "verify what the server wrote: a collector that decodes events loses their bytes",
    FindingKind.FORGED_SEAL: "no line since the seal before it is proven; find out who can write to these files",
    FindingKind.UNKNOWN_KEY: "name the token CA of that time as well: --ca FILE, once for each",
    FindingKind.FORGED_RECORD: "find out who can write to the database: what it knows of chains may be incomplete",
    FindingKind.UNSEALED: "see whether the server's log says that it cannot seal; else seals were removed with the end",
}


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """One thing that is wrong, and with which line: the line itself, the first of a group until `end`, or that before
    what is missing.
    """

    kind: FindingKind
    place: LogPlace
    chain: str
    message: str
    end: LogPlace | None = None


@dataclass(frozen=True, slots=True)
class ChainSummary:
    """What the files have of a chain: the numbers of its first and last line and of the last seal (0: none)."""

    chain: str
    first: int
    last: int
    sealed: int
    is_closed: bool
    since: str
    until: str
