"""Connections to Redis with one deadline for a whole operation.

The client's own timeouts apply to each read, so a server that sends a byte now and then could hold a login
indefinitely. Here name resolution, connection, TLS, authentication and all answers share one budget.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from tokenserver.runtime.dns import Resolver

ANSWER_SECONDS = 0.1
"""For each read, and for each address that is connected to."""

_resolve = Resolver()


class TimeBudget(threading.local):
    """How long this thread may still wait for Redis; unlimited outside of `within`."""

    _end = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit everything in the block to `seconds` in total."""
        self._end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._end = math.inf

    def left(self) -> float:
        """The seconds that the next step may take; always more than 0.

        Raises:
            TimeoutError: there are none left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the whole question has passed")
        return min(left, ANSWER_SECONDS)


class BoundedSocket:
    """A connected socket whose every step keeps to the budget of the thread that uses it."""

    def __init__(self, inner: socket.socket, budget: TimeBudget) -> None:
        self._inner = inner
        self._budget = budget
        self._timeout = inner.gettimeout()

    def settimeout(self, timeout: float | None) -> None:
        """As of any socket; 0 never blocks."""
        self._timeout = timeout

    def recv(self, *arguments: Any) -> bytes:
        """As of any socket.

        Raises:
            TimeoutError: the budget is exhausted, or nothing arrived in time.
        """
        return self._bounded().recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        """See `recv`."""
        return self._bounded().recv_into(*arguments)

    def sendall(self, data: bytes) -> None:
        """See `recv`; the limit applies to all the data."""
        self._bounded().sendall(data)

    def _bounded(self) -> socket.socket:
        if self._timeout == 0:
            self._inner.settimeout(0)
        else:
            left = self._budget.left()
            self._inner.settimeout(left if self._timeout is None else min(left, self._timeout))
        return self._inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class BoundedTcp(Connection):
    """redis://"""

    def __init__(self, *arguments: Any, budget: TimeBudget, **options: Any) -> None:
        self.budget = budget
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]  # redis has no annotations here

    def _connect(self) -> Any:
        return BoundedSocket(_tcp(self.host, self.port, self.budget), self.budget)


class BoundedTls(SSLConnection):
    """rediss://"""

    def __init__(self, *arguments: Any, budget: TimeBudget, **options: Any) -> None:
        self.budget = budget
        super().__init__(*arguments, **options)

    def _connect(self) -> Any:
        made = _tcp(self.host, self.port, self.budget)
        try:
            made.settimeout(self.budget.left())  # for the whole handshake
            secured = self._wrap_socket_with_ssl(made)  # type: ignore[no-untyped-call]  # nor here
            return BoundedSocket(secured, self.budget)
        except BaseException:
            made.close()
            raise


class BoundedUnix(UnixDomainSocketConnection):
    """redis+unix://"""

    def __init__(self, *arguments: Any, budget: TimeBudget, **options: Any) -> None:
        self.budget = budget
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]  # redis has no annotations here

    def _connect(self) -> Any:
        return BoundedSocket(_connected(socket.AF_UNIX, self.path, self.budget), self.budget)


def _tcp(host: str, port: int, budget: TimeBudget) -> socket.socket:
    """Connect to one of the addresses of a name. Name resolution counts against the same budget."""
    failure: OSError = OSError("the name has no address")
    for family, *_, address in _resolve(host, port, budget.left()):
        try:
            made = _connected(family, address, budget)
        except OSError as error:
            failure = error
        else:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
    raise failure


def _connected(family: socket.AddressFamily, address: Any, budget: TimeBudget) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(budget.left())
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


_KINDS: dict[type, type] = {
    Connection: BoundedTcp,
    SSLConnection: BoundedTls,
    UnixDomainSocketConnection: BoundedUnix,
}


def bounded_pool(url: str, password: str | None, budget: TimeBudget) -> ConnectionPool:
    """A pool for a URL, without any open connection yet. Nothing is retried.

    Raises:
        ValueError: the URL has options that the client does not know, or values and files that it cannot use, which
            would otherwise fail at a login.
    """
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # the client's own default waits for seconds
    }
    if password is not None:
        options["password"] = password
    try:
        pool = ConnectionPool.from_url(url.replace("redis+unix://", "unix://", 1), **options)
        pool.connection_class = _KINDS[pool.connection_class]
        pool.connection_kwargs["budget"] = budget
        _check(pool.make_connection())
    except (RedisError, TypeError, OSError) as error:
        raise ValueError(str(error)) from error
    return pool


def _check(connection: object) -> None:
    """Have the client read its TLS files as it does for each connection, without connecting."""
    if not isinstance(connection, SSLConnection):
        return
    for file in (connection.ca_certs, connection.certfile, connection.keyfile):
        if file is not None:
            Path(file).read_bytes()  # its error names the file, that of the TLS library does not
    with socket.socket() as unconnected:
        wrapped = connection._wrap_socket_with_ssl(unconnected)  # type: ignore[no-untyped-call]  # noqa: SLF001 - as in `_connect`
        wrapped.close()
