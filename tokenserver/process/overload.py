"""Overload of a worker: what it does when it is out of descriptors, so that its listener recovers.

With TLS there are as many connection slots as descriptors, so that these run out first (`connections_for`). granian's
listener without descriptors tries to accept in a busy loop, and meanwhile ends no handshake that takes too long. The
kernel refuses to accept without a descriptor even if nothing is queued. So the queued connections are closed, after
which their clients may retry, and twice a second a spare descriptor is released for a moment, which ends the loop.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import resource
import socket
import stat
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from tokenserver.process.process_limits import has_descriptor

logger = logging.getLogger("tokenserver")

EXHAUSTED_SECONDS = 15
"""A worker that is out of descriptors for this long, while none of its connections ended, exits and is replaced. Silent
clients hold a descriptor for a shorter time."""

_HIGHEST_LISTENER = 256
"""The listener is opened before any connection, so its descriptor is a low one."""

_MOST_CLOSED = 4096

_SPARES = 4
"""A reload may use the released one for a moment, and lose it to a connection."""

_PAUSE_EVERY = 0.5
_PAUSE_SECONDS = 0.005
"""How often and for how long the spare descriptor is released: the listener's thread needs to run once in it."""

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A socket filter of one instruction: keep no byte of any packet."""


class Overload:
    """Watches the descriptors of this process, and keeps the queues of its listeners at `ports` short without any."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self._ports = ports
        self._listeners: dict[int, int] = {}
        self._since: float | None = None
        self._connections: frozenset[int] = frozenset()
        self._spares: list[int] = []
        self._paused = -math.inf

    def is_relieved(self, now: float) -> bool:
        """Whether the process has descriptors; if not, the connections that wait to be accepted are closed.

        Args:
            now: the monotonic time in seconds.

        Returns:
            False if the process has been without descriptors for `EXHAUSTED_SECONDS` and holds all connections that it
            held before, so that it should be replaced.
        """
        self._find_listeners()
        if has_descriptor():
            self._since = None
            self._take_spares()
            return True
        if self._since is None:
            self._since, self._connections = now, connections_at(self._ports)
            logger.error(
                "a worker is out of descriptors, and closes new connections;"
                " fix: raise the limit (LimitNOFILE= of systemd, --ulimit nofile= of a container)"
            )
        self._relieve(now)
        if now - self._since < EXHAUSTED_SECONDS:
            return True
        before, self._since, self._connections = self._connections, now, connections_at(self._ports)
        return not before <= self._connections

    def _find_listeners(self) -> None:
        for port in self._ports:
            listener = None if port in self._listeners else find_listener(port)
            if listener is not None:
                self._listeners[port] = listener
                accept_arrivals(listener)  # a worker before this one may have been killed between the two

    def _relieve(self, now: float) -> None:
        """Close what is queued, and let the listeners see that nothing is left. A connection that arrives meanwhile
        would take the spare descriptor, so none may.
        """
        listeners = self._listeners.values()
        if not self._spares or now - self._paused < _PAUSE_EVERY:
            for listener in listeners:
                close_queued(listener)
            self._take_spares()
            return
        try:
            for listener in listeners:
                close_queued(listener, drop_arrivals=True)
            os.close(self._spares.pop())
            time.sleep(_PAUSE_SECONDS)
            self._paused = now
            self._take_spares()
        finally:
            for listener in listeners:
                accept_arrivals(listener)

    def _take_spares(self) -> None:
        while len(self._spares) < _SPARES and (spare := spare_descriptor()) is not None:
            self._spares.append(spare)

    @property
    def is_exhausted(self) -> bool:
        """Whether the process was out of descriptors when last looked at."""
        return self._since is not None


def spare_descriptor() -> int | None:
    """A descriptor of no use but to be closed when one is needed; None if there is none."""
    try:
        return os.dup(2)
    except OSError:
        return None


def accept_arrivals(listener: int) -> None:
    """Undo `drop_arrivals` of `close_queued`, if it was done."""
    with _borrowed(listener) as queue, suppress(OSError):
        queue.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    borrowed = socket.socket(fileno=descriptor)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def find_listener(port: int) -> int | None:
    """The descriptor of this process's socket that listens on a TCP port; None if there is none yet.

    Needs no free descriptor.
    """
    for descriptor in range(_HIGHEST_LISTENER):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode) and _listens(descriptor, port):
                return descriptor
    return None


def connections_at(ports: Collection[int]) -> frozenset[int]:
    """The inodes of this process's TCP sockets at local ports. No two sockets of a system have had the same lately.

    Needs no free descriptor.
    """
    found = set()
    for descriptor in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISSOCK(status.st_mode) and _port_of(descriptor) in ports:
                found.add(status.st_ino)
    return frozenset(found)


def _port_of(descriptor: int) -> int | None:
    with _borrowed(descriptor) as connection:
        return connection.getsockname()[1] if connection.family in {socket.AF_INET, socket.AF_INET6} else None


def _listens(descriptor: int, port: int) -> bool:
    with _borrowed(descriptor) as candidate:
        return (
            bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) and candidate.getsockname()[1] == port
        )


def close_queued(listener: int, *, drop_arrivals: bool = False) -> None:
    """Accept and close the connections that are queued at a listening socket, without waiting for more.

    To accept takes a descriptor. A free one would be taken by the listener's own thread, so a child process does this,
    which shares the socket and nothing else.

    With `drop_arrivals`, none is queued afterwards: the kernel drops what arrives for the listener until
    `accept_arrivals`, and TCP repeats it after a second. Connections that are accepted already do not notice (Linux).
    """
    try:
        child = os.fork()
    except OSError:  # no process either: the next call tries again
        return
    if child:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        return
    try:
        os.closerange(0, listener)
        os.closerange(listener + 1, os.sysconf("SC_OPEN_MAX"))
        with socket.socket(fileno=listener) as queue:
            _close_queued(queue)
            if drop_arrivals:
                _drop_arrivals(queue)
                _close_queued(queue)
    finally:
        os._exit(0)


def _close_queued(queue: socket.socket) -> None:
    queue.setblocking(False)
    with suppress(OSError):  # BlockingIOError: there are no more
        for _ in range(_MOST_CLOSED):
            queue.accept()[0].close()


def _drop_arrivals(queue: socket.socket) -> None:
    instruction = ctypes.create_string_buffer(_DROP_ALL)
    with suppress(OSError):  # some sandboxes have no filters; then a connection may take the spare descriptor
        queue.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(instruction)))
