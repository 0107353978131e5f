"""Non-blocking writes to a descriptor of any kind (file, pipe, terminal or socket), without waiting for its reader.

The flags of an inherited descriptor (O_NONBLOCK) are shared with every process that has it, such as the shell that
started this program, so they are left alone: a pipe or a terminal is reopened, and on a socket each call is made
non-blocking. Where reopening is not allowed, each write is limited to what a writable pipe is certain to accept.

The calls go straight to the C library and keep Python's own lock, so that a caller that holds another lock holds it for
microseconds, and never while another Python thread runs. Whether a file's disk is slow cannot be known in advance;
after a slow write, later writes let other threads run.
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
"""How long writes to a file let other threads run after a write that took `SLOW_SECONDS`."""


# Not CDLL, which would let other threads run during the call. No argument types, since each would cost a conversion:
# bytes are a pointer, integers are C ints, which libffi extends to the width of a register; a failed call returns -1.
_libc = ctypes.PyDLL(None)
_write, _send = _libc.write, _libc.send


class Port(Protocol):
    """A way to write to a descriptor."""

    @property
    def try_write(self) -> Callable[[bytes, int], int]:
        """Writes as much of the bytes as there is room for, given their number; returns how many were written.

        Never waits for a reader. A result below one means that the caller has to use `send`.
        """
        ...

    def send(self, data: bytes) -> int:
        """Write as much as there is room for; returns how many bytes were written, at least one.

        Raises:
            BlockingIOError: there is no room.
            OSError: the descriptor accepts no more data at all.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Wait for room, or for an error that `send` then raises, for at most `seconds`."""
        ...

    def has_room(self) -> bool:
        """Whether a write would find room, or an error, as far as that can be known without writing.

        A full pipe may still have room for a very short line, which would say nothing about the next one.
        """
        ...

    def is_gone(self) -> bool:
        """Whether the reader is gone, as far as that can be known without writing."""
        ...


def open_port(descriptor: int) -> Port:
    """The port for an open descriptor, which stays open and keeps its flags.

    Raises:
        OSError: the descriptor is not open.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return SocketPort(descriptor)
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        return FilePort(descriptor)
    if sys.platform == "linux":  # elsewhere this would duplicate the open file description instead of making a new one
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return StreamPort(os.open(f"/proc/self/fd/{descriptor}", flags))
    return PolledPort(descriptor)


class _Polled:
    """The state of a descriptor with a reader, according to `poll`."""

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
    """A pipe or a terminal, reopened on a non-blocking descriptor, which is closed with the port."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        weakref.finalize(self, os.close, descriptor)
        self.try_write: Callable[[bytes, int], int] = partial(_write, descriptor)

    def send(self, data: bytes) -> int:
        """See `Port`."""
        return os.write(self.descriptor, data)


class SocketPort(_Polled):
    """A socket, on a duplicate of the inherited descriptor, which shares its flags."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        weakref.finalize(self, self._socket.close)
        super().__init__(self._socket.fileno())

    def try_write(self, data: bytes, size: int) -> int:
        """See `Port`."""
        count: int = _send(self.descriptor, data, size, socket.MSG_DONTWAIT)
        return count

    def send(self, data: bytes) -> int:
        """See `Port`."""
        return self._socket.send(data, socket.MSG_DONTWAIT)


class PolledPort(_Polled):
    """A blocking pipe or terminal. If it is writable, it has room for `PIPE_BUF` bytes, unless others write to it."""

    def try_write(self, data: bytes, size: int) -> int:  # noqa: ARG002 - see `Port`
        """See `Port`. A write might still block, so other threads must be able to run."""
        return 0

    def send(self, data: bytes) -> int:
        """See `Port`."""
        if not _poll(self.descriptor, 0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(self.descriptor, data[: select.PIPE_BUF])


class FilePort:
    """A file. The speed of its disk is only known from the previous write."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._patient_until = 0.0

    def try_write(self, data: bytes, size: int) -> int:
        """See `Port`. While the disk is slow, the caller has to use `send`."""
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
