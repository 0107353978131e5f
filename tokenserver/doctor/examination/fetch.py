"""A single HTTP request with an overall deadline and a bounded answer. No redirects, proxies, cookies, second use.

The caller decides where credentials go. They are never forwarded, and never leave this machine unencrypted.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from tokenserver.credentials import Secret
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome

DEADLINE = 10.0
MAX_BODY = 256 * 1024

_TRANSPORT = {
    socket.gaierror: FailureReason.NAME,
    ConnectionRefusedError: FailureReason.REFUSED,
    TimeoutError: FailureReason.TIMEOUT,
    ConnectionError: FailureReason.CLOSED,
}


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None


class _Exposed(Exception):
    """Credentials would have left this machine in plain text."""


def fetch(
    url: str,
    *,
    context: ssl.SSLContext,
    authorization: Secret | None = None,
    deadline: float = DEADLINE,
    address: tuple[str, int] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Outcome:
    """Request `url`, an http or https URL. `authorization` is the whole header value; `deadline` is in seconds.

    `address` is where to connect to instead of looking up the host of the URL, whose name is verified nevertheless.

    Over plain http, `authorization` is only sent if the peer of the open connection is this machine; otherwise nothing
    is sent and the reason is `EXPOSED`.
    """
    parts = urlsplit(url)
    host, target = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=deadline, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=deadline)
    headers = {"User-Agent": "tokenserver-doctor", "Accept": "application/json", "Connection": "close"}
    timed_out = threading.Event()
    # The socket timeout applies to each read; a peer that sends a byte now and then would block us forever.
    watchdog = threading.Timer(deadline, _cut, (connection, timed_out))
    watchdog.daemon = True
    watchdog.start()
    outcome: Outcome
    try:
        _connect(connection, address, context)
        outcome = _exchange(connection, _Request(method, target, headers, body), authorization)
    except _Exposed:
        outcome = FetchFailure(FailureReason.EXPOSED, "plain http to another machine")
    except (OSError, http.client.HTTPException, ValueError) as error:
        outcome = _failure(error)
    finally:
        watchdog.cancel()
        connection.close()
    # A response truncated in its headers looks complete.
    return FetchFailure(FailureReason.TIMEOUT, f"no answer in {deadline:g} s") if timed_out.is_set() else outcome


def _connect(connection: http.client.HTTPConnection, address: tuple[str, int] | None, context: ssl.SSLContext) -> None:
    if address is None:
        connection.connect()
        return
    connection.sock = socket.create_connection(address, connection.timeout)
    if isinstance(connection, http.client.HTTPSConnection):
        connection.sock = context.wrap_socket(connection.sock, server_hostname=connection.host)


def _exchange(connection: http.client.HTTPConnection, request: _Request, authorization: Secret | None) -> HttpAnswer:
    headers = request.headers
    if authorization is not None:
        if not isinstance(connection.sock, ssl.SSLSocket) and not _is_local_peer(connection.sock):
            raise _Exposed
        headers = {**headers, "Authorization": authorization.reveal()}
    before = time.time()
    if request.body is not None:
        headers = {**headers, "Content-Type": "application/octet-stream"}
    connection.request(request.method, request.target, request.body, headers)
    response = connection.getresponse()
    middle = (before + time.time()) / 2
    found: dict[str, tuple[str, ...]] = {}
    for name, value in response.getheaders():
        found[name.lower()] = (*found.get(name.lower(), ()), value)
    body = response.read(MAX_BODY)
    return HttpAnswer(response.status, found, body, _skew(found.get("date", ()), middle))


def _is_local_peer(connected: socket.socket) -> bool:
    """Whether the peer is this machine. The host name proves nothing, since DNS may resolve it elsewhere."""
    peer = ip_address(connected.getpeername()[0].partition("%")[0])
    mapped = getattr(peer, "ipv4_mapped", None)
    return (mapped or peer).is_loopback


def _skew(dates: tuple[str, ...], ours: float) -> float | None:
    """How many seconds the sender's clock is ahead, by `Date` (RFC 9110, section 6.6.1), which has whole seconds."""
    try:
        moment = parsedate_to_datetime(dates[0])
        # Without a time zone it means UTC.
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (IndexError, ValueError, TypeError, OverflowError):
        return None
    return seconds + 0.5 - ours


def _cut(connection: http.client.HTTPConnection, timed_out: threading.Event) -> None:
    timed_out.set()
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _failure(error: Exception) -> FetchFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        return FetchFailure(FailureReason.CERTIFICATE, error.verify_message)
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or ""
        plain = reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
        return FetchFailure(FailureReason.PLAIN if plain else FailureReason.TLS, reason.lower().replace("_", " "))
    for kind, failure_reason in _TRANSPORT.items():
        if isinstance(error, kind):
            detail = error.strerror if isinstance(error, OSError) else None
            return FetchFailure(failure_reason, detail or "the connection was closed without an answer")
    if isinstance(error, http.client.HTTPException | ValueError):
        return FetchFailure(FailureReason.CLOSED, "what came back is not HTTP")
    return FetchFailure(FailureReason.OTHER, getattr(error, "strerror", None) or type(error).__name__)
