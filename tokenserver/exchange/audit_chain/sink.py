"""The sink of a chained audit trail: it adds to each line its link, under the lock under which the line is written.

So the order of the lines is that of their numbers, whichever worker writes them, and a server has one chain.
"""

from __future__ import annotations

import time
from binascii import b2a_base64
from collections.abc import Callable

from tokenserver.exchange.audit_chain.links import DIGEST, END, MAX_MEMBER, MEMBER, digest_of, new_digest
from tokenserver.exchange.audit_chain.state import (
    CLOSED,
    CUT_FROM,
    DIGESTS,
    NUMBER,
    PLACES,
    SEALED,
    SEALED_AT,
    ChainState,
)
from tokenserver.exchange.audit_sink import WAIT_SECONDS, DescriptorSink
from tokenserver.exchange.sink_state import BLOCKED, BROKEN, ENDING, WHOLE
from tokenserver.runtime.shared_lock import spin

_END = END + b"\n"
_CLOSING = len(b"}\n")


class ChainedSink(DescriptorSink):
    """As `DescriptorSink`, for lines that are JSON objects. `state` is shared with the other processes that write."""

    added = MAX_MEMBER

    def __init__(
        self,
        descriptor: int,
        state: ChainState | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: float = WAIT_SECONDS,
    ) -> None:
        """As `DescriptorSink`.

        Raises:
            OSError: as there.
        """
        self.state = state or ChainState()
        super().__init__(descriptor, self.state, monotonic=monotonic, wait=wait)
        self._head = MEMBER + self.state.id + b":"
        self._chain, self._memory = self.state.chain, self.state.memory

    def write(self, line: bytes) -> None:
        """Write one whole line, newline included, with its link.

        Raises:
            OSError: it was not written in time; the reader may still get it, or a part of it.
        """
        # The usual case, as in the base class. What can be computed without the lock is computed before.
        text = line[:-_CLOSING]
        digest = new_digest()
        digest.update(text)
        numbers, chain = self._numbers, self._chain
        if self._try_acquire() or spin(self._lock):
            try:
                if numbers[ENDING] == WHOLE and not numbers[BLOCKED] and not chain[CUT_FROM]:
                    before = chain[NUMBER]
                    number = before + 1
                    memory = self._memory
                    place = DIGESTS + before % PLACES * DIGEST
                    link = b"%b%d:%b%b" % (self._head, number, memory[place : place + DIGEST], _END)
                    digest.update(link)
                    place = DIGESTS + number % PLACES * DIGEST
                    memory[place : place + DIGEST] = b2a_base64(digest.digest(), newline=False)
                    linked = text + link
                    size = len(linked)
                    numbers[ENDING] = BROKEN  # what the next writer finds if this process dies now
                    chain[NUMBER] = number
                    sent = self._try_write(linked, size)
                    if sent > 0:
                        if sent < size:
                            self._finish_new(linked[sent:])
                        numbers[ENDING] = WHOLE
                        return
                    chain[NUMBER] = before
                    numbers[ENDING] = WHOLE
            finally:
                self._release()
        self.write_all((line,))

    def seal(self, line_for: Callable[[str], bytes], *, at: float, closes: bool) -> bool:
        """Write the line that seals all lines before it; `line_for` makes it from its own link.

        `at` is the time in seconds since the epoch, `closes` whether it is meant to be the last line. Returns false if
        there is nothing to seal, or no room.

        Raises:
            OSError: it was not written, or not as a whole.
            Exception: whatever `line_for` raises; nothing is written then.
        """
        if self.state.is_blocked:
            return False
        end = self._monotonic() + self._wait
        with self._alone(end):
            chain = self._chain
            is_sealed = chain[SEALED] and chain[NUMBER] == chain[SEALED]
            if (is_sealed and (chain[CLOSED] or not closes)) or not self._ended():
                return False
            line = line_for(self.state.next_link().decode("ascii"))
            try:
                is_written = self._put(line, end)
            except OSError as error:
                self.state.block(error.errno or 0)
                raise
            if is_written:
                chain[SEALED], chain[SEALED_AT], chain[CLOSED] = chain[NUMBER], int(at), closes
        return is_written

    def _put(self, line: bytes, end: float) -> bool:
        chain = self._chain
        number = chain[NUMBER] + 1
        linked = line[:-_CLOSING] + MEMBER + self.state.next_link() + _END
        self.state.begin(number, digest_of(linked))
        self.state.ending = BROKEN
        chain[NUMBER] = number
        is_put = super()._put(linked, end)
        if is_put:
            chain[CUT_FROM] = 0
        return is_put

    def _nothing_sent(self) -> None:
        self._chain[NUMBER] -= 1
        super()._nothing_sent()
