"""One request: bounded in time and size, nothing followed, and each failure by its name."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from harness.authority import Authority
from harness.misfits import Reply, blackhole, impostor, silent, trickler
from harness.processes import free_port

from tokenserver.credentials import Secret
from tokenserver.runtime.http import fetch as fetch_module
from tokenserver.runtime.http.fetch import MAX_BODY
from tokenserver.runtime.http.response import FailureReason, FetchFailure, HttpResponse
from tokenserver.runtime.tracing.spans import ActiveTrace, active
from tokenserver.runtime.tracing.trace_context import TraceContext

PLAIN = ssl.create_default_context()


def fetch(
    url: str, *, context: ssl.SSLContext = PLAIN, deadline: float = 10, **more: Any
) -> HttpResponse | FetchFailure:
    """A request with what most tests do not care about."""
    return fetch_module.fetch(url, context=context, deadline=deadline, agent="tests", **more)


@contextmanager
def recording() -> Iterator[tuple[int, list[bytes]]]:
    """A server that keeps the first request and answers 204; its port and what it was sent."""
    requests: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            requests.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], requests
        thread.join()


def failure_reason(url: str, context: ssl.SSLContext = PLAIN) -> FailureReason:
    outcome = fetch(url, context=context, deadline=2)
    assert isinstance(outcome, FetchFailure), outcome
    return outcome.reason


def got(reply: Reply) -> HttpResponse:
    with impostor(reply) as server:
        outcome = fetch(f"http://localhost:{server.port}/x?y=z")
    assert isinstance(outcome, HttpResponse), outcome
    return outcome


def test_an_answer() -> None:
    """Status, headers by their lower-case names with all their values, body."""
    headers = (("WWW-Authenticate", "Basic x"), ("WWW-Authenticate", "Bearer y"))
    found = got(Reply(401, headers, b"body"))
    assert (found.status, found.body, found.skew) == (401, b"body", None)
    assert found.headers["www-authenticate"] == ("Basic x", "Bearer y")
    assert (found.header("www-authenticate"), found.header("none"), found.is_cut) == ("Basic x", None, False)


def test_redirects_are_not_followed_and_credentials_go_to_one_place() -> None:
    """The other server is never asked."""
    with impostor(Reply()) as other:
        reply = Reply(307, (("Location", f"http://localhost:{other.port}/"),))
        with impostor(reply) as server:
            outcome = fetch(f"http://localhost:{server.port}/", authorization=Secret("Basic eDp5"))
            assert isinstance(outcome, HttpResponse)
            assert outcome.status == 307
            assert server.authorizations == ["Basic eDp5"]
        assert other.authorizations == []


@pytest.mark.parametrize(
    ("more", "is_cut"),
    [
        pytest.param(0, False, id="the limit"),
        pytest.param(1, True, id="a byte more"),
        pytest.param(100, True, id="more"),
    ],
)
def test_a_large_body_is_cut(more: int, is_cut: bool) -> None:
    """No more than the limit is kept, and the response says so."""
    found = got(Reply(200, (), b"x" * (MAX_BODY + more)))
    assert (len(found.body), found.is_cut) == (MAX_BODY, is_cut)


def test_a_body_without_an_end_is_not_read_to_it() -> None:
    """A gigabyte is announced, and what fits is there immediately."""
    beginning = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    with silent(beginning + b"x" * (MAX_BODY + 1)) as port:
        outcome = fetch(f"http://localhost:{port}/")
    assert isinstance(outcome, HttpResponse)
    assert (len(outcome.body), outcome.is_cut) == (MAX_BODY, True)


def test_a_client_says_its_name() -> None:
    """Servers see in their log who asked."""
    with recording() as (port, requests):
        fetch(f"http://localhost:{port}/x")
    assert b"User-Agent: tests\r\n" in requests[0]


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        pytest.param("Fri, 01 Jan 2100 00:00:00 GMT", True, id="ahead"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", False, id="behind"),
        pytest.param("Fri, 01 Jan 2100 00:00:00", True, id="no zone"),
        pytest.param("nonsense", None, id="nonsense"),
        pytest.param("", None, id="empty"),
    ],
)
def test_clocks_are_compared_by_the_date(date: str, skew: bool | None) -> None:
    """How many seconds theirs is ahead; None where it cannot be read."""
    found = got(Reply(200, (("Date", date),))).skew
    assert (None if found is None else found > 0) is skew


def test_who_trickles_does_not_hold_us() -> None:
    """A byte now and then is within every single timeout, and not within the deadline."""
    with trickler(10) as port:
        before = time.monotonic()
        outcome = fetch(f"http://localhost:{port}/", deadline=0.5)
        assert time.monotonic() - before < 3
    assert outcome == FetchFailure(FailureReason.TIMEOUT, "no answer in 0.5 s")


@pytest.mark.parametrize(
    ("begins", "scheme", "awaited"),
    [
        pytest.param(b"", "http", "no answer", id="silence"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", "http", "no answer", id="half of a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "http", "no end of the answer", id="no body"),
        pytest.param(b"", "https", "no end of the TLS handshake", id="no handshake"),
        pytest.param(b"\x16\x03\x03\x40\x00", "https", "no end of the TLS handshake", id="half a handshake"),
    ],
)
def test_what_did_not_come(begins: bytes, scheme: str, awaited: str) -> None:
    """The failure names the part of the way that has not ended by the deadline."""
    with silent(begins) as port:
        outcome = fetch(f"{scheme}://localhost:{port}/", deadline=0.5)
    assert outcome == FetchFailure(FailureReason.TIMEOUT, f"{awaited} in 0.5 s")


def test_a_connection_that_does_not_come_about() -> None:
    """As behind a firewall that drops packets."""
    with blackhole() as port:
        outcome = fetch(f"http://127.0.0.1:{port}/", deadline=0.5)
    assert outcome == FetchFailure(FailureReason.TIMEOUT, "no connection in 0.5 s")


def test_a_name_that_is_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver cannot be interrupted, and is not waited for."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [None][over.wait(30) :])
    outcome = fetch("http://registry.example.com/", deadline=0.3)
    over.set()
    assert outcome == FetchFailure(FailureReason.TIMEOUT, "no address for its name in 0.3 s")


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name with several, those that do not accept a connection are passed over within the deadline."""
    with impostor(Reply()) as server, blackhole() as dead:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
            for port in (free_port(), dead, server.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert isinstance(fetch("http://registry.example.com/", deadline=3), HttpResponse)


def test_nothing_there() -> None:
    """Neither a listener nor a name."""
    assert failure_reason(f"http://localhost:{free_port()}/") is FailureReason.REFUSED
    assert failure_reason("http://registry.invalid/") is FailureReason.NAME


def test_tls(tmp_path: Path) -> None:
    """A right certificate, an unknown authority, another name, and TLS on one side alone."""
    authority = Authority(tmp_path, "A company's CA")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path))
    with impostor(Reply(), context=context) as server:
        assert isinstance(fetch(f"https://localhost:{server.port}/", context=authority.context()), HttpResponse)
        assert failure_reason(f"https://localhost:{server.port}/") is FailureReason.CERTIFICATE
        assert failure_reason(f"https://127.0.0.1:{server.port}/", authority.context()) is FailureReason.CERTIFICATE
        assert failure_reason(f"http://localhost:{server.port}/") is FailureReason.CLOSED
    with impostor(Reply()) as server:
        assert failure_reason(f"https://localhost:{server.port}/") is FailureReason.PLAIN


def test_an_address_instead_of_the_host(tmp_path: Path) -> None:
    """The name is not looked up, but verified."""
    authority = Authority(tmp_path, "A company's CA")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path))
    with impostor(Reply(), context=context) as server:
        at = ("127.0.0.1", server.port)
        assert isinstance(fetch("https://localhost/", context=authority.context(), address=at), HttpResponse)
        outcome = fetch("https://registry.invalid/", context=authority.context(), address=at)
        assert isinstance(outcome, FetchFailure)
        assert outcome.reason is FailureReason.CERTIFICATE
    with impostor(Reply()) as server:
        assert isinstance(fetch("http://registry.invalid/", address=("127.0.0.1", server.port)), HttpResponse)


def test_old_tls_has_a_reason_of_its_own(tmp_path: Path) -> None:
    """Both speak TLS, and find no common version."""
    authority = Authority(tmp_path, "A company's CA")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = authority.context()
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    with impostor(Reply(), context=context) as server:
        assert failure_reason(f"https://localhost:{server.port}/", client) is FailureReason.TLS


def test_what_is_no_http() -> None:
    """Something else listens there."""
    with impostor(Reply(200, (("X", "y" * 70_000),))) as server:
        assert failure_reason(f"http://localhost:{server.port}/") is FailureReason.CLOSED


def test_secrets_do_not_print() -> None:
    """Neither headers nor body stand in the answer's text."""
    found = got(Reply(200, (("Set-Cookie", "secret"),), b"secret"))
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("peer", "is_here"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("127.8.9.1", True, id="all of its network"),
        pytest.param("::1", True, id="IPv6"),
        pytest.param("::ffff:127.0.0.1", True, id="IPv4 in IPv6"),
        pytest.param("::ffff:10.0.0.1", False, id="another machine in IPv6"),
        pytest.param("10.0.0.1", False, id="a private network"),
        pytest.param("fe80::1%eth0", False, id="a neighbour"),
    ],
)
def test_what_this_machine_is(peer: str, is_here: bool) -> None:
    """By the address of the open connection."""

    class Connected:
        def getpeername(self) -> tuple[str, int]:
            return peer, 80

    assert fetch_module._is_local_peer(cast("socket.socket", Connected())) is is_here


def test_no_credential_leaves_this_machine_in_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over http to another machine nothing is sent, not even a request; without a credential all is as ever."""
    monkeypatch.setattr(fetch_module, "_is_local_peer", lambda _: False)
    with impostor(Reply()) as server:
        url = f"http://localhost:{server.port}/"
        outcome = fetch(url, authorization=Secret("Bearer x"))
        assert outcome == FetchFailure(FailureReason.EXPOSED, "plain http to another machine")
        assert server.authorizations == []
        assert isinstance(fetch(url), HttpResponse)


def test_plain_http_can_be_kept_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is asked for, nothing is sent to another one; over TLS it makes no difference."""
    with impostor(Reply()) as server:
        url = f"http://localhost:{server.port}/"
        assert isinstance(fetch(url, is_plain_local=True), HttpResponse)
        monkeypatch.setattr(fetch_module, "_is_local_peer", lambda _: False)
        outcome = fetch(url, is_plain_local=True)
    assert outcome == FetchFailure(FailureReason.EXPOSED, "plain http to another machine")


def test_credentials_go_over_tls_wherever_that_leads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whose certificate is verified."""
    monkeypatch.setattr(fetch_module, "_is_local_peer", lambda _: False)
    authority = Authority(tmp_path, "A company's CA")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path))
    with impostor(Reply(), context=context) as server:
        url = f"https://localhost:{server.port}/"
        fetch(url, context=authority.context(), authorization=Secret("Bearer x"))
        assert server.authorizations == ["Bearer x"]


def test_a_request_within_a_trace() -> None:
    """Names its place in the trace, and is a step: with the host and the status, never with path and query."""
    trace = ActiveTrace(TraceContext("a" * 32, "b" * 16, is_sampled=True), is_traced=True)
    with recording() as (port, requests), active(trace):
        fetch(f"http://127.0.0.1:{port}/secret?key=secret")
    with active(trace):
        fetch(f"http://127.0.0.1:{port}/", deadline=2)
    done, failed = trace.finished().spans
    assert f"traceparent: 00-{'a' * 32}-{done.span_id}-01\r\n".encode() in requests[0]
    place = {"http.request.method": "GET", "server.address": "127.0.0.1"}
    assert (done.name, done.attributes, done.error) == ("GET", {**place, "http.response.status_code": 204}, None)
    assert (failed.attributes, failed.error) == (place, FailureReason.REFUSED)


def test_a_request_without_a_trace() -> None:
    """Names none."""
    with recording() as (port, requests):
        fetch(f"http://127.0.0.1:{port}/")
    assert b"traceparent" not in requests[0]
