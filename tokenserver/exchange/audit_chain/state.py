"""State of a chain, shared by the processes that write to one sink: the last number, digests, cut lines, and seals.

It is changed under the lock of the sink. Each value is written before it counts, so that a process that is killed
anywhere leaves a chain that the next writer continues: it knows which lines may have been cut off.
"""

from __future__ import annotations

import secrets

from tokenserver.exchange.audit_chain.links import CHAIN_ID, DIGEST, NOTHING
from tokenserver.exchange.sink_state import OWN_BYTES, SinkState

NUMBER, CUT_FROM, SEALED, SEALED_AT, CLOSED = range(5)
"""Indexes of `ChainState.chain`: the number of the last line, that of the first line that may have been cut off since
the last whole one (0: none), that of the last seal, its time in seconds since the epoch, and whether it is the last."""

PLACES = 4
"""The digest of a line is at its number modulo this, so that those of a few lines before are not overwritten."""

DIGESTS = OWN_BYTES + 8 * 8
"""Where in `ChainState.memory` the digests are."""

_BASE = DIGESTS + PLACES * DIGEST


class ChainState(SinkState):
    """As `SinkState`, with the chain of the sink's lines. `id` is the random name of the chain."""

    EXTRA = _BASE + DIGEST - OWN_BYTES

    def __init__(self) -> None:
        """Begin a chain.

        Raises:
            OSError: there is not enough memory.
        """
        super().__init__()
        self.id = secrets.token_urlsafe(CHAIN_ID * 3 // 4).encode("ascii")
        self.chain = memoryview(self.memory)[OWN_BYTES:DIGESTS].cast("Q")
        self.begin(0, NOTHING)

    @property
    def previous(self) -> bytes:
        """The digest of the last line."""
        return self._digest(self.chain[NUMBER])

    @property
    def base(self) -> bytes:
        """The digest of the line before those that may have been cut off."""
        return self.memory[_BASE : _BASE + DIGEST]

    def begin(self, number: int, digest: bytes) -> None:
        """Store the digest of a line that is about to be written; it counts when `chain[NUMBER]` is set to `number`."""
        place = DIGESTS + number % PLACES * DIGEST
        self.memory[place : place + DIGEST] = digest

    def note_break(self) -> None:
        """Record that the last line may have been cut off."""
        number = self.chain[NUMBER]
        if number and not self.chain[CUT_FROM]:
            self.memory[_BASE : _BASE + DIGEST] = self._digest(number - 1)
            self.chain[CUT_FROM] = number

    def next_link(self) -> bytes:
        """The link of the next line."""
        number, cut_from = self.chain[NUMBER] + 1, self.chain[CUT_FROM]
        link = b"%b:%d:%b" % (self.id, number, self.previous)
        return b"%b:%d:%b" % (link, number - cut_from, self.base) if cut_from else link

    def is_due(self, now: float, seconds: float) -> bool:
        """Whether there is something to seal, and the last seal is older than `seconds`, or there was none."""
        chain = self.chain
        if not chain[SEALED]:
            return True
        return chain[NUMBER] > chain[SEALED] and not 0 <= now - chain[SEALED_AT] < seconds

    def _digest(self, number: int) -> bytes:
        place = DIGESTS + number % PLACES * DIGEST
        return self.memory[place : place + DIGEST]
