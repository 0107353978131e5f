"""MariaDB and MySQL: connections that only read, verify the server's certificate, and are ended at a deadline.

PyMySQL writes parameters into the text of a statement. So that no name can be anything else there, they are written as
hexadecimal digits. Its own timeouts begin again with each packet, so a timer ends a connection at the deadline, and the
bytes of an answer are counted.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymysql.connections import Connection
from pymysql.converters import conversions
from pymysql.err import Error, OperationalError
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from tokenserver.storage.connections.limits import seconds_left

MAX_BYTES = 1024 * 1024
"""Of all answers for one login; two rows of the longest values are half of it."""

RECYCLE_SECONDS = 300
_SSL_FAILED, _LOST = 2026, 2013
_LATE = "the server does not answer in time"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class BoundName:
    """A user name as a parameter. In the text of a statement, it is a literal of hexadecimal digits."""

    def __init__(self, name: str) -> None:
        self._digits = name.encode("utf-8").hex()

    def literal(self, _mapping: Mapping[Any, Any] | None = None) -> str:
        """The literal. Like one in quotes, it has the weakest collation, so that of the column counts."""
        return f"_utf8mb4 X'{self._digits}'"


class WatchedConnection(Connection):  # type: ignore[misc]  # PyMySQL has no types
    """A connection that is ended when an answer takes too long, or is too large."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._allowance = MAX_BYTES
        self._end = 0.0
        self._twin: socket.socket | None = None
        self._timer: threading.Timer | None = None
        super().__init__(*arguments, **options, defer_connect=True)

    def open_within(self, seconds: float) -> None:
        """Connect, and log in."""
        try:
            found = self._opened(seconds)
        except OSError as error:
            raise OperationalError(_LOST, f"Can't connect to the server ({error})") from error
        # TLS detaches the socket; this second handle still reaches the connection.
        self._twin = found.dup()
        with self.watched(seconds):
            self.connect(found)

    def watch(self, seconds: float) -> None:
        """Begin a login, which ends within `seconds`."""
        self.unwatch()
        self._allowance = MAX_BYTES
        left = max(seconds, 0.001)
        self._end = time.monotonic() + left
        self._read_timeout = self._write_timeout = left
        self._timer = threading.Timer(left, self._abort)
        self._timer.daemon = True
        self._timer.start()

    def unwatch(self) -> None:
        """End a login."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @contextmanager
    def watched(self, seconds: float) -> Iterator[None]:
        """Within this context, the connection is ended after `seconds`."""
        self.watch(seconds)
        try:
            yield
        finally:
            self.unwatch()

    def _opened(self, seconds: float) -> socket.socket:
        if not self.unix_socket:
            return socket.create_connection((self.host, self.port), seconds)
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.settimeout(seconds)
            found.connect(self.unix_socket)
        except OSError:
            found.close()
            raise
        return found

    def _abort(self) -> None:
        twin = self._twin
        if twin is not None:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

    def _read_bytes(self, num_bytes: int) -> bytes:
        self._allowance -= num_bytes
        if self._allowance < 0:
            self._force_close()
            raise OperationalError(_LOST, f"the answer has more than {MAX_BYTES} bytes")
        try:
            data: bytes = super()._read_bytes(num_bytes)
        except OperationalError as error:
            if time.monotonic() < self._end:
                raise
            raise OperationalError(_LOST, _LATE) from error
        return data

    def _force_close(self) -> None:
        twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()
        super()._force_close()


def mariadb_engine(
    url: URL, *, password: str | None, ca_file: Path | None, is_plaintext: bool, seconds: float, pool: tuple[int, int]
) -> Engine:
    """The engine of a URL. TLS is required, with a verified name, unless the server is on this machine.

    `pool` is how many connections stay open, and how many more are opened under load.
    """
    context = _tls(url, ca_file, is_plaintext=is_plaintext)
    engine = create_engine(
        url.set(drivername="mysql+pymysql", password=password, query={"charset": "utf8mb4"}),
        pool_size=pool[0],
        max_overflow=pool[1],
        pool_timeout=seconds,
        pool_recycle=RECYCLE_SECONDS,
        hide_parameters=True,
    )
    unix_socket = url.query.get("unix_socket")

    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> WatchedConnection:
        left = seconds_left()
        if left <= 0:
            raise OperationalError(_LOST, _LATE)
        more = {"conv": {**conversions, BoundName: BoundName.literal}, "ssl": context, "local_infile": False}
        if context is None:
            more["ssl_disabled"] = True
        connection = WatchedConnection(*arguments, **options, **more, unix_socket=unix_socket)
        connection.open_within(left)
        return connection

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", _limit_statements(seconds))
    event.listen(engine, "checkout", _begin_login)
    event.listen(engine, "checkin", _end_login)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("START TRANSACTION READ ONLY"))
    event.listen(engine, "before_execute", _bind_name, retval=True)
    return engine


def _tls(url: URL, ca_file: Path | None, *, is_plaintext: bool) -> ssl.SSLContext | None:
    is_local = (url.host or "localhost") in _LOOPBACK or "unix_socket" in url.query
    if is_plaintext or (is_local and ca_file is None):
        return None
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def _limit_statements(seconds: float) -> Any:
    """The server ends a statement that takes long; it would else go on after the connection has ended."""

    def limit(connection: WatchedConnection, _record: object) -> None:
        is_mariadb = "mariadb" in str(connection.get_server_info()).lower()
        setting = f"max_statement_time={seconds:g}" if is_mariadb else f"max_execution_time={round(seconds * 1000)}"
        with connection.watched(max(seconds_left(), 0.001)), connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {setting}")

    return limit


def _begin_login(connection: WatchedConnection, _record: object, _proxy: object) -> None:
    """Look whether the server still knows the connection, which it closes when it restarts."""
    connection.watch(seconds_left())
    try:
        connection.ping(reconnect=False)
    except Error as error:
        connection.unwatch()
        raise DisconnectionError from error


def _end_login(connection: WatchedConnection | None, _record: object) -> None:
    if connection is not None:
        connection.unwatch()


def _bind_name(_connection: object, statement: Any, multi: Any, parameters: Any, _options: object) -> Any:
    names = {name: BoundName(value) if isinstance(value, str) else value for name, value in parameters.items()}
    return statement, multi, names
