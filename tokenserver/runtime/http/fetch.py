"""A single HTTP request with an overall deadline and a bounded response. No redirects, proxies, cookies, second use.

The caller decides where credentials go. They are never forwarded, and never leave this machine unencrypted.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from tokenserver.credentials import Secret
from tokenserver.runtime.http.response import FailureReason, FetchFailure, HttpResponse
from tokenserver.runtime.tracing.spans import SpanKind, outgoing_headers, step

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
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    most: int


class _Exposed(Exception):
    """Credentials would have left this machine in plain text."""


def fetch(
    url: str,
    *,
    context: ssl.SSLContext,
    deadline: float,
    agent: str,
    authorization: Secret | None = None,
    is_plain_local: bool = False,
    address: tuple[str, int] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    accept: str = "application/json",
    content_type: str = "application/octet-stream",
    headers: Mapping[str, str] | None = None,
    most: int = MAX_BODY,
) -> HttpResponse | FetchFailure:
    """Request `url`, an http or https URL, as the client `agent`. `deadline` is in seconds, for everything together.

    `authorization` is the whole header value. `address` is where to connect to instead of looking up the host of the
    URL, whose name is verified nevertheless. `accept` is the media types of the header `Accept`, `content_type`
    the one of `body`, `headers` are further ones. A response has at most `most` bytes of its body.

    Within a traced request, this is one of its steps, and the other server is told its place in the trace.

    Over plain http, `authorization` is only sent if the peer of the open connection is this machine; otherwise nothing
    is sent and the reason is `EXPOSED`. With `is_plain_local` that holds for every request over plain http.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    place = {"http.request.method": method, "server.address": parts.hostname or ""}
    with step(method, SpanKind.CLIENT, place) as span:
        sent = {"User-Agent": agent, "Accept": accept, "Connection": "close", **outgoing_headers(), **(headers or {})}
        if body is not None:
            sent["Content-Type"] = content_type
        request = _Request(method, target, sent, body, most)
        outcome = _within(deadline, _Attempt(url, context, deadline, address, request, authorization, is_plain_local))
        if isinstance(outcome, FetchFailure):
            span.fail(outcome.reason)
        else:
            span.note(http__response__status_code=outcome.status)
        return outcome


def _within(deadline: float, attempt: _Attempt) -> HttpResponse | FetchFailure:
    # A thread of its own, because looking up a name cannot be interrupted, and because a socket's timeout is for each
    # read: a peer that sends a byte now and then would hold us forever.
    thread = threading.Thread(target=attempt.run, name="fetch", daemon=True)
    thread.start()
    thread.join(deadline)
    outcome, awaited = attempt.outcome, attempt.awaited
    if outcome is None or (isinstance(outcome, FetchFailure) and outcome.reason is FailureReason.TIMEOUT):
        attempt.cut()
        return FetchFailure(FailureReason.TIMEOUT, f"{awaited} in {deadline:.3g} s")
    return outcome


@dataclass
class _Attempt:
    """One request in a thread of its own. `awaited` is what it is still without."""

    url: str
    context: ssl.SSLContext
    deadline: float
    address: tuple[str, int] | None
    request: _Request
    authorization: Secret | None
    is_plain_local: bool
    awaited: str = "no address for its name"
    outcome: HttpResponse | FetchFailure | None = None
    connected: socket.socket | None = None

    def run(self) -> None:
        """Set `outcome`."""
        connection: http.client.HTTPConnection | None = None
        try:
            connection = self._connection()
            self.awaited = "no answer"
            self.outcome = self._exchange(connection)
        except _Exposed:
            self.outcome = FetchFailure(FailureReason.EXPOSED, "plain http to another machine")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.outcome = _failure(error)
        finally:
            if connection is not None:
                connection.close()
            if self.connected is not None:
                self.connected.close()

    def cut(self) -> None:
        """End it from another thread."""
        if self.connected is not None:
            with contextlib.suppress(OSError):
                self.connected.shutdown(socket.SHUT_RDWR)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(host, parts.port, context=self.context)
        else:
            connection = http.client.HTTPConnection(host, parts.port)
        connected = connection.sock = self._connect(*(self.address or (host, connection.port)))
        if parts.scheme == "https":
            self.awaited = "no end of the TLS handshake"
            # Not within `wrap_socket`, during which the handshake could not be cut.
            wrapped = self.context.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
            self.connected = connection.sock = wrapped
            wrapped.do_handshake()
        return connection

    def _connect(self, host: str, port: int) -> socket.socket:
        """A connection to the first of the host's addresses that accepts one; each has a share of the time."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.awaited = "no connection"
        failure = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in found:
            connected = self.connected = socket.socket(family, kind, protocol)
            connected.settimeout(self.deadline / len(found))
            try:
                connected.connect(address)
            except OSError as error:
                connected.close()
                failure = error
                continue
            connected.settimeout(self.deadline)
            return connected
        raise failure

    def _exchange(self, connection: http.client.HTTPConnection) -> HttpResponse:
        request, headers = self.request, self.request.headers
        is_kept_here = self.authorization is not None or self.is_plain_local
        if is_kept_here and not isinstance(connection.sock, ssl.SSLSocket) and not _is_local_peer(connection.sock):
            raise _Exposed
        if self.authorization is not None:
            headers = {**headers, "Authorization": self.authorization.reveal()}
        before = time.time()
        connection.request(request.method, request.target, request.body, headers)
        response = connection.getresponse()
        self.awaited = "no end of the answer"
        middle = (before + time.time()) / 2
        found: dict[str, tuple[str, ...]] = {}
        for name, value in response.getheaders():
            found[name.lower()] = (*found.get(name.lower(), ()), value)
        body = response.read(request.most + 1)
        skew = _skew(found.get("date", ()), middle)
        return HttpResponse(response.status, found, body[: request.most], skew, len(body) > request.most)


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
