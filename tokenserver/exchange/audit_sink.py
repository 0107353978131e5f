"""The sink of audit events: writes whole lines to a descriptor that several processes share, in bounded time.

Every line is written under one lock, whatever its length and the kind of descriptor. The state that the next writer
needs is in shared memory: how the last line ended, and whether the sink is blocked. So a fragment that a full disk or a
killed process left is ended before the next line, by whichever process writes that.

No call takes longer than `WAIT_SECONDS`. The rest of a line that was cut off because its reader stopped is kept, and
written when the reader resumes. While the sink is known to be blocked, calls fail without waiting.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from tokenserver.exchange.sink_state import BLOCKED, BROKEN, ENDING, KEPT, WHOLE, SinkState
from tokenserver.runtime.output_ports import Port, open_port
from tokenserver.runtime.shared_lock import acquire, spin

WAIT_SECONDS = 1.5
"""How long one call waits for other writers and for the reader, in total: less than the two seconds that a request may
take as a whole."""

BLOCKED_WAIT_SECONDS = 0.05
"""How long a call waits for other writers while the sink is blocked: they, too, only try."""

LOOK_SECONDS = 0.01
"""How often a waiting call polls: a pseudo-terminal may fail to signal that it has room again."""

PAUSE_SECONDS = 0.0005


class DescriptorSink:
    """Writes lines to an open descriptor; thread-safe. `state` is shared with the other processes that write to it.

    `monotonic` gives seconds, `wait` is how many of them a call may take.
    """

    def __init__(
        self,
        descriptor: int,
        state: SinkState | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: float = WAIT_SECONDS,
    ) -> None:
        """Use the descriptor, which is neither closed nor reconfigured.

        Raises:
            OSError: it is not open, or there is not enough memory for a state.
        """
        self._port: Port = open_port(descriptor)
        self._state = state or SinkState()
        self._lock = self._state.lock
        # Needed for every line, so looked up once.
        self._numbers, self._try_write = self._state.numbers, self._port.try_write
        self._try_acquire, self._release = self._lock.try_acquire, self._lock.release
        self._threads = threading.Lock()
        self._monotonic = monotonic
        self._wait = wait

    @property
    def error(self) -> int:
        """Why it takes no lines, as an errno; 0 while it does. Any of the processes may have noticed."""
        return self._state.error

    def write(self, line: bytes) -> None:
        """Write one whole line, newline included.

        Raises:
            OSError: it was not written in time; the reader may still get it, or a part of it.
        """
        # The usual case: no other writer, the last line is whole, and there is room for this one.
        numbers = self._numbers
        if self._try_acquire() or spin(self._lock):
            try:
                if numbers[ENDING] == WHOLE and not numbers[BLOCKED]:
                    numbers[ENDING] = BROKEN  # what the next writer finds if this process dies now
                    size = len(line)
                    sent = self._try_write(line, size)
                    if sent > 0:
                        if sent < size:
                            self._finish_new(line[sent:])
                        numbers[ENDING] = WHOLE
                        return
                    numbers[ENDING] = WHOLE
            finally:
                self._release()
        self.write_all((line,))

    def write_all(self, lines: Sequence[bytes]) -> None:
        """As `write`, for several lines within the time limit of one."""
        try:
            self._in_time([*lines])
        except OSError as error:
            self._state.block(error.errno or errno.EIO)
            raise
        self._state.unblock()

    def check(self) -> None:
        """Detect without writing that the reader is gone.

        Raises:
            BrokenPipeError: there is no reader any more.
        """
        if self._port.is_gone():
            self._state.block(errno.EPIPE)
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def _in_time(self, lines: list[bytes]) -> None:
        end = now = self._monotonic()
        if not self._state.is_blocked:
            end = now + self._wait
        elif not self._port.has_room():
            raise _does_not_read()
        while True:
            with self._alone(max(end, now + BLOCKED_WAIT_SECONDS)):
                while lines and self._ended() and self._put(lines[0], end):
                    del lines[0]
            if not lines:
                return
            # Without the lock, since no line has been begun that another one could break.
            self._room(end)

    @contextlib.contextmanager
    def _alone(self, end: float) -> Iterator[None]:
        if not self._threads.acquire(timeout=max(0.0, end - self._monotonic())):
            raise _busy()
        try:
            if not acquire(self._lock, end):
                raise _busy()
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._threads.release()

    def _ended(self) -> bool:
        """End the last line if it is not whole; false if there is no room even for that."""
        state = self._state
        if state.ending == KEPT:
            rest = state.rest
            state.ending = BROKEN
            while rest:
                sent = self._sent(rest)
                if not sent:
                    state.keep(rest)
                    return False
                rest = rest[sent:]
            state.ending = WHOLE
        if state.ending == BROKEN:
            if not self._sent(b"\n"):
                return False
            state.ending = WHOLE
        return True

    def _put(self, line: bytes, end: float) -> bool:
        """Write a line after one that is whole; false if there is no room for any of it."""
        state = self._state
        state.ending = BROKEN
        sent = 0
        try:
            sent = self._sent(line)
        finally:
            if not sent:
                self._nothing_sent()
        if not sent:
            return False
        self._finish(line[sent:], end)
        state.ending = WHOLE
        return True

    def _nothing_sent(self) -> None:
        """Record that nothing of the new line was written, so that the one before it is still the last."""
        self._state.ending = WHOLE

    def _finish(self, rest: bytes, end: float) -> None:
        """Write the rest of a line whose beginning is written already."""
        while rest:
            sent = self._sent(rest)
            if not sent:
                try:
                    self._room(end)
                except TimeoutError:
                    self._state.keep(rest)
                    raise
            rest = rest[sent:]

    def _finish_new(self, rest: bytes) -> None:
        """As `_finish`, within the time limit of a call that has only just begun."""
        try:
            self._finish(rest, self._monotonic() + self._wait)
        except OSError as error:
            self._state.block(error.errno or errno.EIO)
            raise

    def _sent(self, data: bytes) -> int:
        """How many bytes were written; 0 if there is no room."""
        try:
            return self._port.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def _room(self, end: float) -> None:
        """Wait briefly for room, or for an error that the next attempt meets.

        Raises:
            TimeoutError: the time is up.
        """
        left = end - self._monotonic()
        if left <= 0:
            raise _does_not_read()
        self._port.wait(min(left, LOOK_SECONDS))
        time.sleep(PAUSE_SECONDS)  # if there is room, but too little for a line, this must not spin


def _does_not_read() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, "its reader does not read")


def _busy() -> OSError:
    return OSError(errno.EBUSY, "another writer holds it")
