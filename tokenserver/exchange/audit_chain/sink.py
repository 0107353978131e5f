"""The sink of a chained audit trail: it ends each line with its link, under the lock under which the line is written.

Each process has a chain of its own, whose running digest is in its memory. So a line costs a number and an update of
the digest, and only the last line of a process that is killed may be incomplete.

Nearly all lines have a link without a digest. Its number is known before the line is made, so that the line is made
once, and under the lock it is only compared whether another thread was faster.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256

from tokenserver.exchange.audit_chain.links import CHAIN_ID, END, GROUP, MEMBER
from tokenserver.exchange.audit_chain.state import NUMBER, PID, SINCE, ChainState, Statement, no_entry
from tokenserver.exchange.audit_sink import WAIT_SECONDS, DescriptorSink
from tokenserver.exchange.sink_state import BLOCKED, BROKEN, ENDING, WHOLE
from tokenserver.runtime.shared_lock import spin

MAX_PLAIN = 2047
"""Bytes of a line that is written by `write_plain`: as many as are hashed in one go. With more, `hashlib` lets other
threads run, for any length of time, while the lock is held."""

_UNLINKED = b"}\n"


class ChainedSink(DescriptorSink):
    """As `DescriptorSink`, for lines that are JSON objects. `state` is shared with the other processes that write."""

    def __init__(
        self,
        descriptor: int,
        state: ChainState | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        wait: float = WAIT_SECONDS,
        group: int = GROUP,
    ) -> None:
        """As `DescriptorSink`; `now` gives seconds since the epoch, `group` is the number of lines a digest is about.

        Raises:
            OSError: as there.
        """
        self.state = state or ChainState()
        super().__init__(descriptor, self.state, monotonic=monotonic, wait=wait)
        self.chain = secrets.token_urlsafe(CHAIN_ID * 3 // 4)
        self.plain = 0
        """The number of the next line if it needs no digest, else 0."""
        self.start = f"{MEMBER}{self.chain}:"
        """What comes before the number of a link."""
        self._now = now
        self._group = group
        self._entry = no_entry()
        self._digest = sha256()
        self._update = self._digest.update
        self._last = 0
        """The number of the last line, unless `plain` says it."""
        self._digest_at = 0
        """The number from which on a line has a digest."""
        self._cut = 0
        """Lines before the next one that may be incomplete or missing."""
        self._before = (0, 0, 0)
        """The last number and these two, before the line in progress."""
        self._sealed, self._sealed_at, self._is_closed = 0, 0.0, False
        self._seen: dict[str, tuple[int, int]] = {}
        """The last number of each other chain when this one was sealed, and that time in milliseconds."""

    def write_plain(self, text: str, number: int) -> None:
        """Write one line of at most `MAX_PLAIN` ASCII characters that ends with the link of this number, which is what
        `plain` was a moment ago, and not 0. If the next line has another link by now, it gets that.

        Raises:
            OSError: it was not written in time; the reader may still get it, or a part of it.
        """
        line = text.encode("ascii")
        # The usual case, as in the base class.
        numbers = self._numbers
        if self._try_acquire() or spin(self._lock):
            try:
                if number == self.plain and numbers[ENDING] == WHOLE and not numbers[BLOCKED]:
                    size = len(line)
                    numbers[ENDING] = BROKEN  # what the next writer finds if this process dies now
                    sent = self._try_write(line, size)
                    if sent == size:
                        numbers[ENDING] = WHOLE
                        self._entry[NUMBER] = number
                        self._update(line)
                        following = number + 1
                        if following < self._digest_at:
                            self.plain = following
                        else:
                            self._stand(number, self._digest_at, self._cut)
                        return
                    if sent > 0:
                        self._begin_line()
                        self._finish_new(line[sent:])
                        self._forget_line()
                        numbers[ENDING] = WHOLE
                        self._written(line)
                        return
                    numbers[ENDING] = WHOLE
            finally:
                self._release()
        self.write_all((text[: text.rindex(self.start)].encode("ascii") + _UNLINKED,))

    def write(self, line: bytes) -> None:
        """Write one line, newline included, which is an event without a link, and gets one. For the few lines that
        `write_plain` is not for.

        Raises:
            OSError: it was not written in time; the reader may still get it, or a part of it.
        """
        self.write_all((line,))

    def is_due(self, now: float, seconds: float) -> bool:
        """Whether there is something to seal, and the last seal is older than `seconds`, or there was none."""
        if not self._sealed:
            return True
        return self._number > self._sealed and not 0 <= now - self._sealed_at < seconds

    def seal(self, line_for: Callable[[str, list[Statement]], str], *, at: float, closes: bool) -> bool:
        """Write the line that seals all lines before it; `line_for` makes its text from its own link and what it states
        about the chains of other processes.

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
            is_sealed = self._sealed and self._number == self._sealed
            if (is_sealed and (self._is_closed or not closes)) or not self._ended():
                return False
            self._stand(self._number, 0, self._cut)
            others = self.state.others(self.chain)
            news = [self._news(one) for one in others if self._seen.get(one.chain, (0, 0))[0] != one.number]
            line = line_for(f"{self.chain}:{self._link()}", news).encode("ascii")
            try:
                is_written = self._put(line, end)
            except OSError as error:
                self.state.block(error.errno or 0)
                raise
            if is_written:
                self._sealed, self._sealed_at, self._is_closed = self._number, at, closes
                self._entry[SINCE] = int(at * 1000)
                self._seen = {one.chain: (one.number, int(at * 1000)) for one in others}
                self.state.note_stated(others)
        return is_written

    def _news(self, one: Statement) -> Statement:
        """A statement about a chain that has grown since this one was sealed."""
        return one._replace(since=max(one.since, self._seen.get(one.chain, (0, 0))[1]))

    @property
    def _number(self) -> int:
        """The number of the last line."""
        plain = self.plain  # once, since `is_due` asks without the lock
        return plain - 1 if plain else self._last

    def _link(self) -> str:
        """The link of the next line, without the chain."""
        number = self._number + 1
        if number < self._digest_at:
            return str(number)
        if not self._entry[PID]:
            self._entry = self.state.claim(self.chain, int(self._now() * 1000))
        link = f"{number}:{self._digest.hexdigest()}"
        return f"{link}:{self._cut}" if self._cut else link

    def _linked(self, line: bytes) -> bytes:
        """An event with the link of the next line."""
        return line.removesuffix(_UNLINKED) + f"{self.start}{self._link()}{END}\n".encode("ascii")

    def _put(self, line: bytes, end: float) -> bool:
        linked = self._linked(line)
        self._begin_line()
        is_put = super()._put(linked, end)
        if is_put:
            self._forget_line()
            self._written(linked)
        return is_put

    def _nothing_sent(self) -> None:
        self._forget_line()
        super()._nothing_sent()

    def _begin_line(self) -> None:
        """Count the next line as one that may be incomplete, until it is known to be whole."""
        self._before = (self._number, self._digest_at, self._cut)
        self._stand(self._number + 1, 0, self._cut + 1)

    def _forget_line(self) -> None:
        self._stand(*self._before)

    def _written(self, line: bytes) -> None:
        """Count the next line as whole."""
        number, digest_at, cut = self._number + 1, self._digest_at, self._cut
        self._entry[NUMBER] = number
        if number >= digest_at:
            self._digest = sha256()
            self._update = self._digest.update
            digest_at, cut = number + self._group, 0
        for start in range(0, len(line), MAX_PLAIN):
            self._update(line[start : start + MAX_PLAIN])
        self._stand(number, digest_at, cut)

    def _stand(self, number: int, digest_at: int, cut: int) -> None:
        """Set the number of the last line, that from which on a line needs a digest, and how many lines before the next
        one may be incomplete.
        """
        self._last, self._digest_at, self._cut = number, digest_at, cut
        self.plain = number + 1 if number + 1 < digest_at else 0
