"""Opens a TCP connection to an LDAP server, trying each address of the host in order."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.network import connect_failure, reason_of

Resolve = Callable[[str, int, float], Sequence[tuple[Any, ...]]]
"""Host, port and timeout in seconds -> the result of `socket.getaddrinfo`."""


def connect(address: Address, deadline: Deadline, resolve: Resolve) -> Connection:
    """A new connection, not yet secured by TLS.

    Raises:
        ConnectionFailed: as `connected`.
    """
    return Connection(address, connected(address, deadline, resolve))


def connected(address: Address, deadline: Deadline, resolve: Resolve) -> socket.socket:
    """A socket that is connected to the first address of the host that accepts it.

    Raises:
        ConnectionFailed: none of them answers in time.
    """
    try:
        found = resolve(address.host, address.port, deadline.left())
    except TimeoutError as error:
        raise ConnectionFailed(FailureCause.NAME_SILENT) from error
    except OSError as error:
        raise ConnectionFailed(FailureCause.NAME_UNKNOWN, detail=reason_of(error)) from error
    failure: ConnectionFailed | None = None
    for number, (family, kind, protocol, _, target) in enumerate(found):
        share = deadline.part(1 / (len(found) - number))
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.settimeout(share.left())
            candidate.connect(target)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            candidate.close()
            failure = ConnectionFailed(connect_failure(error, address.host))
            continue
        return candidate
    try:
        raise failure or ConnectionFailed(FailureCause.NAME_UNKNOWN, detail="it has no address")
    finally:
        del failure  # breaks the reference cycle between the frame and the error
