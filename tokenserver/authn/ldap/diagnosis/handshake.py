"""Whether a server asks for a client certificate: `ssl` does not report it, and some servers close without an alert."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

from tokenserver.authn.ldap.ber import Malformed, message_size
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.certificate import unverified_context

_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
"""The request for StartTLS (RFC 4511, section 4.14.1)."""

_HANDSHAKE = 22
_CERTIFICATE_REQUEST = 13
_PIECE = 65536
_MAX_READ = 1024 * 1024


def requests_certificate(address: Address, deadline: Deadline) -> bool:
    """Whether the server asks for a client certificate; False if it does not, or cannot be asked in time.

    Only in TLS 1.2 is this request not encrypted (RFC 5246, section 7.4.4), so no newer version is offered.
    """
    context = unverified_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with socket.create_connection((address.host, address.port), deadline.left()) as plain:
            if not address.is_ldaps:
                _start_tls(plain, deadline)
            return _CERTIFICATE_REQUEST in _messages(_first_flight(plain, context, deadline))
    except (OSError, Malformed):
        return False


def _start_tls(plain: socket.socket, deadline: Deadline) -> None:
    plain.sendall(_START_TLS)
    data = b""
    while (size := message_size(data)) is None or len(data) < size:
        data += _received(plain, deadline)


def _first_flight(plain: socket.socket, context: ssl.SSLContext, deadline: Deadline) -> bytes:
    """What the server sends until it waits for the client's key, or ends the connection."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=None)
    data = b""
    while len(data) < _MAX_READ:
        with suppress(ssl.SSLWantReadError):
            session.do_handshake()
            break
        if data and outgoing.pending:
            break
        plain.sendall(outgoing.read())
        piece = _received(plain, deadline)
        data += piece
        incoming.write(piece)
    return data


def _received(plain: socket.socket, deadline: Deadline) -> bytes:
    plain.settimeout(deadline.left())
    piece = plain.recv(_PIECE)
    if not piece:
        raise ConnectionError
    return piece


def _messages(data: bytes) -> set[int]:
    """The types of the handshake messages in these records (RFC 5246, sections 6.2.1 and 7.4)."""
    handshake = b""
    while len(data) >= 5 and data[0] == _HANDSHAKE:
        end = 5 + int.from_bytes(data[3:5], "big")
        handshake, data = handshake + data[5:end], data[end:]
    found = set()
    while len(handshake) >= 4:
        found.add(handshake[0])
        handshake = handshake[4 + int.from_bytes(handshake[1:4], "big") :]
    return found
