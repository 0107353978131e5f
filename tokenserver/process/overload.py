"""Overload of a worker: what it does when it is out of descriptors, so that its listener recovers.

With TLS there are as many connection slots as descriptors, so that these run out first (`connections_for`). granian's
listener without descriptors tries to accept in a busy loop for as long as connections are queued, and meanwhile ends no
handshake that takes too long. So the queued connections are closed: their clients may retry, and the listener gets back
to its handshakes.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import stat
from contextlib import suppress

from tokenserver.process.process_limits import has_descriptor

logger = logging.getLogger("tokenserver")

EXHAUSTED_SECONDS = 15
"""A worker that is out of descriptors for this long, and has accepted nothing meanwhile, exits and is replaced. Silent
clients hold a descriptor for a shorter time."""

_HIGHEST_LISTENER = 256
"""The listener is opened before any connection, so its descriptor is a low one."""

_MOST_CLOSED = 4096


class Overload:
    """Watches the descriptors of this process, and keeps the queue of its listener at `port` short without any."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener: int | None = None
        self._since: float | None = None
        self._connections: frozenset[int] = frozenset()

    def is_relieved(self, now: float) -> bool:
        """Whether the process has descriptors; if not, the connections that wait to be accepted are closed.

        Args:
            now: the monotonic time in seconds.

        Returns:
            False if the process has been without descriptors for `EXHAUSTED_SECONDS` and holds no connection that it
            did not hold before, so that it should be replaced.
        """
        if self._listener is None:
            self._listener = find_listener(self._port)
        if has_descriptor():
            self._since = None
            return True
        if self._since is None:
            self._since, self._connections = now, connections_at(self._port)
            logger.error(
                "a worker is out of descriptors, and closes new connections;"
                " fix: raise the limit (LimitNOFILE= of systemd, --ulimit nofile= of a container)"
            )
        if self._listener is not None:
            close_queued(self._listener)
        if now - self._since < EXHAUSTED_SECONDS:
            return True
        before, self._since, self._connections = self._connections, now, connections_at(self._port)
        return not self._connections <= before

    @property
    def is_exhausted(self) -> bool:
        """Whether the process was out of descriptors when last looked at."""
        return self._since is not None


def find_listener(port: int) -> int | None:
    """The descriptor of this process's socket that listens on a TCP port; None if there is none yet.

    Needs no free descriptor.
    """
    for descriptor in range(_HIGHEST_LISTENER):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode) and _listens(descriptor, port):
                return descriptor
    return None


def connections_at(port: int) -> frozenset[int]:
    """The inodes of this process's TCP sockets at a local port. No two sockets of a system have had the same lately.

    Needs no free descriptor.
    """
    found = set()
    for descriptor in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISSOCK(status.st_mode) and _port_of(descriptor) == port:
                found.add(status.st_ino)
    return frozenset(found)


def _port_of(descriptor: int) -> int | None:
    connection = socket.socket(fileno=descriptor)
    try:
        return connection.getsockname()[1] if connection.family in {socket.AF_INET, socket.AF_INET6} else None
    finally:
        connection.detach()


def _listens(descriptor: int, port: int) -> bool:
    candidate = socket.socket(fileno=descriptor)
    try:
        return (
            bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) and candidate.getsockname()[1] == port
        )
    finally:
        candidate.detach()


def close_queued(listener: int) -> None:
    """Accept and close the connections that are queued at a listening socket, without waiting for more.

    To accept takes a descriptor. A free one would be taken by the listener's own thread, so a child process does this,
    which shares the socket and nothing else.
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
        _close_queued(listener)
    finally:
        os._exit(0)


def _close_queued(listener: int) -> None:
    os.closerange(0, listener)
    os.closerange(listener + 1, os.sysconf("SC_OPEN_MAX"))
    with suppress(OSError), socket.socket(fileno=listener) as queue:  # BlockingIOError: there are no more
        queue.setblocking(False)
        for _ in range(_MOST_CLOSED):
            queue.accept()[0].close()
