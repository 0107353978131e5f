"""What a server sends before anything is encrypted: its certificate, and whether it asks for one.

`ssl` shows no certificate that it rejects, and reports no request for one; but up to TLS 1.2 both are sent in clear
text (RFC 5246, sections 7.4.2 and 7.4.4), so a second connection offers nothing newer, and ends there. No context
without verification is needed, and nothing is sent but a ClientHello.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from tokenserver.authn.ldap.ber import Malformed, message_size
from tokenserver.authn.ldap.deadline import Deadline

_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
"""The request for StartTLS (RFC 4511, section 4.14.1)."""

_ALERT, _HANDSHAKE = 21, 22
_CERTIFICATE, _CERTIFICATE_REQUEST, _DONE = 11, 13, 14
_PIECE = 65536
_MAX_READ = 256 * 1024


@dataclass(frozen=True, slots=True)
class FirstFlight:
    """The server's first messages: whether they are TLS, its certificate in DER (empty if none), and whether it asks
    for one of the client.
    """

    is_tls: bool = False
    certificate: bytes = b""
    is_certificate_requested: bool = False


def first_flight(plain: socket.socket, host: str, deadline: Deadline, *, is_start_tls: bool) -> FirstFlight:
    """The server's first messages on a new connection, which is of no use afterwards; empty if none arrive in time."""
    data = b""
    try:
        if is_start_tls:
            _start_tls(plain, deadline)
        plain.settimeout(deadline.left())
        plain.sendall(_hello(host))
        while len(data) < _MAX_READ and _DONE not in (messages := _messages(data)):
            piece = _received(plain, deadline)
            if not piece:
                break
            data += piece
    except (OSError, ValueError):
        pass
    messages = _messages(data)
    return FirstFlight(
        is_tls=data[:1] in (bytes([_ALERT]), bytes([_HANDSHAKE])) and data[1:2] == b"\x03",
        certificate=_first_certificate(messages.get(_CERTIFICATE, b"")),
        is_certificate_requested=_CERTIFICATE_REQUEST in messages,
    )


def _hello(host: str) -> bytes:
    """A ClientHello for TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    outgoing = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def _start_tls(plain: socket.socket, deadline: Deadline) -> None:
    plain.settimeout(deadline.left())
    plain.sendall(_START_TLS)
    data = b""
    while (size := message_size(data)) is None or len(data) < size:
        piece = _received(plain, deadline)
        if not piece:
            raise Malformed("ends too early")
        data += piece


def _received(plain: socket.socket, deadline: Deadline) -> bytes:
    plain.settimeout(deadline.left())
    return plain.recv(_PIECE)


def _messages(data: bytes) -> dict[int, bytes]:
    """The handshake messages in these records, by their types (RFC 5246, sections 6.2.1 and 7.4)."""
    handshake = b""
    while len(data) >= 5 and data[0] == _HANDSHAKE:
        end = 5 + int.from_bytes(data[3:5], "big")
        handshake, data = handshake + data[5:end], data[end:]
    found = {}
    while len(handshake) >= 4 and len(handshake) >= (end := 4 + int.from_bytes(handshake[1:4], "big")):
        found[handshake[0]] = handshake[4:end]
        handshake = handshake[end:]
    return found


def _first_certificate(message: bytes) -> bytes:
    """The server's own certificate out of the list in the message: each one follows its length in three bytes."""
    return message[6 : 6 + int.from_bytes(message[3:6], "big")]
