"""What the processes that write to one sink share about their chains: the last number of each, for the others' seals.

Each process has a chain of its own. A seal of one states the others, so that none can be removed as a whole; also that
of a process that was killed, until a seal has stated it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from tokenserver.exchange.audit_chain.links import CHAIN_ID
from tokenserver.exchange.sink_state import OWN_BYTES, SinkState

ID, PID, NUMBER, SINCE, STATED = range(5)
"""Indexes of an entry: the id of the chain, the process that writes it, the number of the last line that was written as
a whole, the time in milliseconds since the epoch that this line is not older than, and the last number that the seal of
another chain has stated."""

CHAINS = 256
"""Chains that fit: those of all workers, and of former ones that no seal has stated yet."""

_FIELDS = 5


class Statement(NamedTuple):
    """What a seal states about another chain: it has a line of this number, which is not older than `since`, in
    milliseconds since the epoch.
    """

    chain: str
    number: int
    since: int


class ChainState(SinkState):
    """As `SinkState`, with an entry for each chain. All of this is called under the lock of the sink."""

    EXTRA = CHAINS * _FIELDS * 8

    def __init__(self) -> None:
        """Make room for chains.

        Raises:
            OSError: there is not enough memory.
        """
        super().__init__()
        self._table = memoryview(self.memory)[OWN_BYTES : OWN_BYTES + self.EXTRA].cast("Q")

    def claim(self, chain: str, now: int) -> memoryview:
        """The entry of a new chain of this process; one that nobody sees if all are taken."""
        free = next((entry for entry in self._entries() if _is_free(entry)), no_entry())
        free[NUMBER] = free[STATED] = 0  # a process that is killed here leaves it free
        free[ID], free[PID], free[SINCE] = int.from_bytes(chain.encode("ascii"), "big"), os.getpid(), now
        return free

    def others(self, chain: str) -> list[Statement]:
        """The other chains that have lines."""
        return [one for one in map(_statement, self._entries()) if one.number and one.chain != chain]

    def note_stated(self, statements: list[Statement]) -> None:
        """Record that a seal has stated this, so that chains that have ended can be forgotten."""
        numbers = {one.chain: one.number for one in statements}
        for entry in self._entries():
            entry[STATED] = max(entry[STATED], numbers.get(_statement(entry).chain, 0))

    def _entries(self) -> Iterator[memoryview]:
        for start in range(0, CHAINS * _FIELDS, _FIELDS):
            if not self._table[start + PID]:
                yield self._table[start : start + _FIELDS]  # the first one that was never used
                return
            yield self._table[start : start + _FIELDS]


def no_entry() -> memoryview:
    """An entry that no other process sees."""
    return memoryview(bytearray(_FIELDS * 8)).cast("Q")


def _is_free(entry: memoryview) -> bool:
    return not entry[PID] or (entry[STATED] >= entry[NUMBER] and not _is_alive(entry[PID]))


def _statement(entry: memoryview) -> Statement:
    return Statement(entry[ID].to_bytes(CHAIN_ID, "big").decode("ascii"), entry[NUMBER], entry[SINCE])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
