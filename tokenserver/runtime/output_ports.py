"""Writing to a descriptor without waiting for whoever reads it, whatever it is: file, pipe, terminal or socket.

The mode of an inherited descriptor (O_NONBLOCK) belongs to everybody who has it, the shell that started this program
too. So it stays as it is: a pipe or a terminal is opened once more, and a socket is told for each call. Where opening
once more is not allowed, only as much is written at a time as a pipe that says it is writable has room for.

The calls go straight to the C library and keep Python's own lock, so that a caller that holds a lock of its own holds
it for microseconds, and never while another thread of Python runs. A file's disk may be slow, which nobody can ask;
once it was, writes let other threads run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import stat
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

SLOW_SECONDS = 0.1
PATIENT_SECONDS = 5.0
"""For how long a file is written to with patience after a write that took `SLOW_SECONDS`."""


# Not CDLL, which would let other threads run meanwhile. Without types for arguments, each of which would be converted:
# bytes are a pointer, integers are C ints, which libffi extends to the width of a register, and a failed call gives -1.
_libc = ctypes.PyDLL(None)
_write, _send = _libc.write, _libc.send


class Port(Protocol):
    """A way to write to a descriptor."""

    @property
    def at_once(self) -> Callable[[bytes, int], int]:
        """Writes what there is room for of the bytes, so many, and tells how many that were; never waits for a reader.

        Below one where `send` has to be asked.
        """
        ...

    def send(self, data: bytes) -> int:
        """Write what there is room for, and tell how many bytes that were; more than none.

        Raises:
            BlockingIOError: there is no room.
            OSError: it takes no more at all.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Wait for room, or for an error that `send` then raises, but no longer than this."""
        ...

    def has_room(self) -> bool:
        """Whether a line would find room, or an error, as far as that can be known without writing.

        A pipe that is full may have room for a very short line, which would say nothing about the next one.
        """
        ...

    def is_gone(self) -> bool:
        """Whether its reader has gone, as far as that can be known without writing."""
        ...


def open_port(descriptor: int) -> Port:
    """The port for an open descriptor, which stays open and as it is.

    Raises:
        OSError: it is not open.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return SocketPort(descriptor)
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        return FilePort(descriptor)
    if sys.platform == "linux":  # elsewhere this gives the same open file once more, and not a new one
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return StreamPort(os.open(f"/proc/self/fd/{descriptor}", flags))
    return PolledPort(descriptor)


class _Polled:
    """What can be asked of a descriptor that somebody reads."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def wait(self, seconds: float) -> None:
        """See `Port`."""
        _poll(self.descriptor, seconds)

    def has_room(self) -> bool:
        """See `Port`."""
        return bool(_poll(self.descriptor, 0))

    def is_gone(self) -> bool:
        """See `Port`."""
        return bool(_poll(self.descriptor, 0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL))


class StreamPort(_Polled):
    """A pipe or a terminal, by a descriptor of its own that does not block; it is closed with the port."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        weakref.finalize(self, os.close, descriptor)
        self.at_once: Callable[[bytes, int], int] = partial(_write, descriptor)

    def send(self, data: bytes) -> int:
        """See `Port`."""
        return os.write(self.descriptor, data)


class SocketPort(_Polled):
    """A socket, by a descriptor of its own, which blocks as the inherited one does."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        weakref.finalize(self, self._socket.close)
        super().__init__(self._socket.fileno())

    def at_once(self, data: bytes, size: int) -> int:
        """See `Port`."""
        count: int = _send(self.descriptor, data, size, socket.MSG_DONTWAIT)
        return count

    def send(self, data: bytes) -> int:
        """See `Port`."""
        return self._socket.send(data, socket.MSG_DONTWAIT)


class PolledPort(_Polled):
    """A pipe or a terminal that blocks. One that is writable has room for `PIPE_BUF` bytes, if nobody else writes."""

    def at_once(self, data: bytes, size: int) -> int:  # noqa: ARG002 - see `Port`
        """See `Port`. It might block after all, so other threads must run meanwhile."""
        return 0

    def send(self, data: bytes) -> int:
        """See `Port`."""
        if not _poll(self.descriptor, 0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(self.descriptor, data[: select.PIPE_BUF])


class FilePort:
    """A file. There is no way to know whether its disk will take long, but it is known how long it took."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._patient_until = 0.0

    def at_once(self, data: bytes, size: int) -> int:
        """See `Port`. While the disk is slow, there is no room at once."""
        start = time.monotonic()
        if start < self._patient_until:
            return 0
        count: int = _write(self.descriptor, data, size)
        end = time.monotonic()
        if end - start > SLOW_SECONDS:
            self._patient_until = end + PATIENT_SECONDS
        return count

    def send(self, data: bytes) -> int:
        """See `Port`."""
        return os.write(self.descriptor, data)

    def wait(self, seconds: float) -> None:
        """See `Port`."""
        time.sleep(seconds)

    def has_room(self) -> bool:
        """See `Port`."""
        return True

    def is_gone(self) -> bool:
        """See `Port`."""
        return False


def _poll(descriptor: int, seconds: float) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return next((event for _, event in poll.poll(seconds * 1000)), 0)
