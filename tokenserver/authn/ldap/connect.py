"""Opens a TCP connection to an LDAP server, trying each address of the host in order."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, reason_of
from tokenserver.authn.ldap.directory import Address

Resolve = Callable[[str, int, float], Sequence[tuple[Any, ...]]]
"""Host, port and timeout in seconds -> the result of `socket.getaddrinfo`."""


def connect(address: Address, deadline: Deadline, resolve: Resolve) -> Connection:
    """A new connection, not yet secured by TLS, to the first address of the host that accepts it.

    Raises:
        ConnectionFailed: none of them answers in time.
    """
    try:
        found = resolve(address.host, address.port, deadline.left())
    except TimeoutError as error:
        raise ConnectionFailed("resolve", "the name was not resolved in time") from error
    except OSError as error:
        raise ConnectionFailed("resolve", f"the name cannot be resolved: {reason_of(error)}") from error
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
            timed_out = isinstance(error, TimeoutError)
            failure = ConnectionFailed("connect", "no answer in time" if timed_out else reason_of(error))
            continue
        return Connection(address, candidate)
    try:
        raise failure or ConnectionFailed("resolve", "the name has no address")
    finally:
        del failure  # breaks the reference cycle between the frame and the error
