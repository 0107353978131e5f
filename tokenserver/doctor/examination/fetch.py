"""One HTTP request: a deadline for all of it, bounded, no redirect followed, no proxy, nothing remembered.

The caller decides where credentials go; nothing here forwards them, and none leaves this machine unencrypted.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from tokenserver.credentials import Secret
from tokenserver.doctor.http import FetchFailure, HttpAnswer, Outcome, Trouble

DEADLINE = 10.0
MAX_BODY = 256 * 1024

_TRANSPORT = {
    socket.gaierror: Trouble.NAME,
    ConnectionRefusedError: Trouble.REFUSED,
    TimeoutError: Trouble.TIMEOUT,
    ConnectionError: Trouble.CLOSED,
}


class _Exposed(Exception):
    """A credential would have left this machine in plain text."""


def fetch(
    url: str, *, context: ssl.SSLContext, authorization: Secret | None = None, deadline: float = DEADLINE
) -> Outcome:
    """GET `url`, an http or https URL. `authorization` is the whole value of that header; `deadline` is in seconds.

    Over plain http, `authorization` is sent to a peer on this machine alone, as the open connection has it; otherwise
    nothing is sent and the trouble is `EXPOSED`.
    """
    parts = urlsplit(url)
    host, target = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=deadline, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=deadline)
    headers = {"User-Agent": "tokenserver-doctor", "Accept": "application/json", "Connection": "close"}
    over = threading.Event()
    # A timeout of the socket is for each read; who sends a byte now and then would hold us for ever.
    watchdog = threading.Timer(deadline, _cut, (connection, over))
    watchdog.daemon = True
    watchdog.start()
    outcome: Outcome
    try:
        outcome = _exchange(connection, target, headers, authorization)
    except _Exposed:
        outcome = FetchFailure(Trouble.EXPOSED, "plain http to another machine")
    except (OSError, http.client.HTTPException, ValueError) as error:
        outcome = _failure(error)
    finally:
        watchdog.cancel()
        connection.close()
    # An answer that was cut in its headers looks like a whole one.
    return FetchFailure(Trouble.TIMEOUT, f"no answer in {deadline:g} s") if over.is_set() else outcome


def _exchange(
    connection: http.client.HTTPConnection, target: str, headers: dict[str, str], authorization: Secret | None
) -> HttpAnswer:
    connection.connect()
    if authorization is not None:
        if not isinstance(connection.sock, ssl.SSLSocket) and not _is_here(connection.sock):
            raise _Exposed
        headers = {**headers, "Authorization": authorization.reveal()}
    before = time.time()
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    middle = (before + time.time()) / 2
    found: dict[str, tuple[str, ...]] = {}
    for name, value in response.getheaders():
        found[name.lower()] = (*found.get(name.lower(), ()), value)
    body = response.read(MAX_BODY)
    return HttpAnswer(response.status, found, body, _ahead(found.get("date", ()), middle))


def _is_here(connected: socket.socket) -> bool:
    """Whether the peer is this machine. Its name does not tell: another answer of DNS leads elsewhere."""
    peer = ip_address(connected.getpeername()[0].partition("%")[0])
    mapped = getattr(peer, "ipv4_mapped", None)
    return (mapped or peer).is_loopback


def _ahead(dates: tuple[str, ...], ours: float) -> float | None:
    """How many seconds the sender's clock is ahead, by its `Date` (RFC 9110, section 6.6.1), which has whole ones."""
    try:
        moment = parsedate_to_datetime(dates[0])
        # Without a zone it is meant as UTC.
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (IndexError, ValueError, TypeError, OverflowError):
        return None
    return seconds + 0.5 - ours


def _cut(connection: http.client.HTTPConnection, over: threading.Event) -> None:
    over.set()
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _failure(error: Exception) -> FetchFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        return FetchFailure(Trouble.CERTIFICATE, error.verify_message)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        plain = reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
        return FetchFailure(Trouble.PLAIN if plain else Trouble.TLS, reason.lower().replace("_", " "))
    for kind, trouble in _TRANSPORT.items():
        if isinstance(error, kind):
            detail = error.strerror if isinstance(error, OSError) else None
            return FetchFailure(trouble, detail or "the connection was closed without an answer")
    if isinstance(error, http.client.HTTPException | ValueError):
        return FetchFailure(Trouble.CLOSED, "what came back is not HTTP")
    return FetchFailure(Trouble.OTHER, getattr(error, "strerror", None) or type(error).__name__)
