"""The servers of one directory, with failover and a pool of open connections.

Connections are pooled for two purposes and never mixed: those for searches, bound as the service account, and those for
binds with users' passwords. A bind on an open connection replaces the previous one (RFC 4511, section 4.2.1), so the
latter can be reused after any answer.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from tokenserver.authn.ldap.accounts.notices import PasswordNotices
from tokenserver.authn.ldap.accounts.password_policy import BindResult
from tokenserver.authn.ldap.connect import Resolve, connect, connected
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import Address, Directory
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.certificate import explained
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.failures.handshake import FirstFlight, first_flight
from tokenserver.authn.ldap.failures.network import CERTIFICATE_CAUSES
from tokenserver.authn.ldap.failures.result_codes import is_about_account, service_failure
from tokenserver.errors import BackendUnavailable

DOWN_SECONDS = 30.0
"""How long a failed server is tried only after the others."""
REFUSED_SECONDS = 10.0
"""How long a rejected service account is not retried, so that the directory does not lock it."""
IDLE_SECONDS = 60.0
"""How long an idle connection is kept: less than the idle timeout of firewalls."""
MAX_IDLE = 16
"""Connections of one purpose that are kept for one server."""

logger = logging.getLogger("tokenserver.ldap")

notices = PasswordNotices()
"""One per process, as for users."""

_Answer = TypeVar("_Answer")


class Purpose(Enum):
    """The use of a pooled connection."""

    SEARCH = "search"
    BIND = "bind"


class DirectoryServer:
    """One server, and its idle connections."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.down_until = 0.0
        self._lock = threading.Lock()
        self._idle: dict[Purpose, list[tuple[float, Connection]]] = {purpose: [] for purpose in Purpose}

    def take(self, purpose: Purpose) -> Connection | None:
        """The most recently used idle connection that seems healthy, or None."""
        while True:
            with self._lock:
                if not self._idle[purpose]:
                    return None
                since, connection = self._idle[purpose].pop()
            if time.monotonic() - since < IDLE_SECONDS and connection.is_quiet():
                return connection
            connection.close()

    def give_back(self, purpose: Purpose, connection: Connection) -> None:
        """Return a connection to the pool, or close it if an answer is still due or the pool is full."""
        with self._lock:
            is_kept = not connection.is_waiting and len(self._idle[purpose]) < MAX_IDLE
            if is_kept:
                self._idle[purpose].append((time.monotonic(), connection))
        if not is_kept:
            connection.close()

    def close_idle(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle = [connection for kept in self._idle.values() for _, connection in kept]
            for kept in self._idle.values():
                kept.clear()
        for connection in idle:
            connection.close()


class Servers:
    """All servers of a directory, in the order of the configuration.

    `context` verifies their certificates; None only for plain text.
    """

    def __init__(self, directory: Directory, context: ssl.SSLContext | None, resolve: Resolve) -> None:
        self._directory = directory
        self._context = context
        self._resolve = resolve
        self._servers = tuple(DirectoryServer(address) for address in directory.servers)
        self._refused = (0.0, "", "")
        # A reload drops the whole pool; a connection in use stays open until it is returned.
        weakref.finalize(self, _close_all, self._servers)

    @contextmanager
    def asked(
        self, question: Callable[[Connection, Deadline], _Answer], deadline: Deadline
    ) -> Iterator[tuple[DirectoryServer, Connection, _Answer]]:
        """Ask the first server that answers, as the service account, or anonymously if the configuration says so.

        The block has exclusive use of the connection.

        A question is retried if a server fails, so it must be read-only.

        Raises:
            BackendUnavailable: no server answers in time, or the service account is rejected.
            Unanswerable: no server can answer this question.
        """
        server, connection, answer = self._ask(question, deadline)
        try:
            yield server, connection, answer
        finally:
            server.give_back(Purpose.SEARCH, connection)

    @contextmanager
    def for_bind(
        self, deadline: Deadline, preferred: DirectoryServer | None = None
    ) -> Iterator[tuple[DirectoryServer, Connection]]:
        """An open connection for the bind of a user; it may be bound as another user or not at all.

        Raises:
            BackendUnavailable: no server can be reached in time.
        """
        server, connection = self._reach(deadline, preferred)
        try:
            yield server, connection
        finally:
            server.give_back(Purpose.BIND, connection)

    def open(self, address: Address, deadline: Deadline) -> Connection:
        """A new connection, as secure as the configuration says.

        Raises:
            ConnectionFailed: it cannot be opened.
        """
        try:
            connection = self._open(address, deadline, self._context)
        except ConnectionFailed as error:
            if error.cause not in CERTIFICATE_CAUSES:
                raise
            raise ConnectionFailed(self._explained(error.failure, address, deadline)) from error
        # The settings ensure this; but a password sent in clear text cannot be taken back.
        if connection.tls is None and not self._directory.plaintext:
            connection.close()
            raise ConnectionFailed(FailureCause.NOT_ENCRYPTED)
        return connection

    def connect(self, address: Address, deadline: Deadline) -> Connection:
        """A new connection without TLS, over which nothing secret may be sent.

        Raises:
            ConnectionFailed: it cannot be opened.
        """
        return connect(address, deadline, self._resolve)

    def first_flight(self, address: Address, deadline: Deadline, *, is_start_tls: bool) -> FirstFlight:
        """What the server sends first in a TLS handshake, on a connection of its own; empty if that fails."""
        try:
            with connected(address, deadline, self._resolve) as plain:
                return first_flight(plain, address.expected_name, deadline, is_start_tls=is_start_tls)
        except ConnectionFailed:
            return FirstFlight()

    def _open(self, address: Address, deadline: Deadline, context: ssl.SSLContext | None) -> Connection:
        connection = connect(address, deadline, self._resolve)
        try:
            if context is not None and address.is_ldaps:
                connection.secure(context, deadline)
            elif context is not None:
                connection.start_tls(context, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    def _explained(self, failure: DirectoryFailure, address: Address, deadline: Deadline) -> DirectoryFailure:
        """The failure with what the rejected certificate says."""
        flight = self.first_flight(address, deadline, is_start_tls=not address.is_ldaps)
        return explained(failure, flight.certificate, datetime.now(UTC))

    def bind_service(self, connection: Connection, deadline: Deadline) -> BindResult:
        """Bind as the service account: with its DN and password, or as the subject of the client certificate."""
        if self._directory.sasl_external:
            return connection.bind_external(deadline)
        assert self._directory.bind is not None  # noqa: S101 - checked by the callers
        dn, password = self._directory.bind
        return connection.bind(dn, password, deadline)

    def failed(self, server: DirectoryServer, error: ConnectionFailed) -> None:
        """Mark the server as down for a while."""
        server.close_idle()
        if server.down_until <= time.monotonic():
            logger.warning("%s: %s: %s", self._directory.name, server.address.url, error.failure)
        server.down_until = time.monotonic() + DOWN_SECONDS

    def _ask(
        self, question: Callable[[Connection, Deadline], _Answer], deadline: Deadline
    ) -> tuple[DirectoryServer, Connection, _Answer]:
        failures: list[tuple[DirectoryServer, ConnectionFailed]] = []
        for server, share in self._in_turn(deadline, None):
            kept = server.take(Purpose.SEARCH)
            if kept is not None:
                try:
                    return server, kept, question(kept, share)
                except ConnectionFailed:
                    # Perhaps only a stale connection (server restart, firewall): retry with a new one.
                    kept.close()
                    server.close_idle()
                except BaseException:
                    kept.close()
                    raise
            try:
                connection = self.open(server.address, share)
                try:
                    self._become_service(server, connection, share)
                    return server, connection, question(connection, share)
                except BaseException:
                    connection.close()
                    raise
            except ConnectionFailed as error:
                self.failed(server, error)
                failures.append((server, error))
        raise self._unavailable(failures)

    def _reach(self, deadline: Deadline, preferred: DirectoryServer | None) -> tuple[DirectoryServer, Connection]:
        failures: list[tuple[DirectoryServer, ConnectionFailed]] = []
        for server, share in self._in_turn(deadline, preferred):
            kept = server.take(Purpose.BIND)
            if kept is not None:
                return server, kept
            try:
                return server, self.open(server.address, share)
            except ConnectionFailed as error:
                self.failed(server, error)
                failures.append((server, error))
        raise self._unavailable(failures)

    def _unavailable(self, failures: Sequence[tuple[DirectoryServer, ConnectionFailed]]) -> BackendUnavailable:
        reason = "; ".join(f"{server.address.url}: {error.reason}" for server, error in failures)
        summaries = dict.fromkeys(error.failure.summary for _, error in failures)
        return BackendUnavailable(self._directory.name, reason, summary="; ".join(summaries))

    def _in_turn(
        self, deadline: Deadline, preferred: DirectoryServer | None
    ) -> Iterator[tuple[DirectoryServer, Deadline]]:
        """The servers with their shares of the time; those that failed recently come last."""
        now = time.monotonic()
        ordered = sorted(self._servers, key=lambda server: (server is not preferred, max(server.down_until - now, 0)))
        for number, server in enumerate(ordered):
            yield server, deadline.part(1 / (len(ordered) - number))

    def _become_service(self, server: DirectoryServer, connection: Connection, deadline: Deadline) -> None:
        if self._directory.anonymous_search:
            return  # a new connection is anonymous (RFC 4513, section 4)
        until, reason, summary = self._refused
        if time.monotonic() < until:
            raise BackendUnavailable(self._directory.name, reason, summary=summary)
        result = self.bind_service(connection, deadline)
        if result.is_accepted:
            notices.service(self._directory.name, self._directory.account, result.policy, datetime.now(UTC))
            return
        failure = service_failure(result, self._directory)
        if not is_about_account(failure):
            raise ConnectionFailed(failure)
        reason = f"{server.address.url} rejects the service account: {failure}"
        logger.error("%s: %s", self._directory.name, reason)
        summary = f"rejects the service account: {failure.summary}"
        self._refused = (time.monotonic() + REFUSED_SECONDS, reason, summary)
        raise BackendUnavailable(self._directory.name, reason, summary=summary)


def _close_all(servers: tuple[DirectoryServer, ...]) -> None:
    for server in servers:
        server.close_idle()
