"""One request: bounded in time and size, nothing followed, and each failure by its name."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path
from typing import cast

import pytest
from harness.authority import Authority
from harness.misfits import Reply, blackhole, impostor, silent, trickler
from harness.processes import free_port

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.live import check_transport
from tokenserver.doctor.examination import fetch as fetch_module
from tokenserver.doctor.examination.fetch import MAX_BODY, fetch
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer

PLAIN = ssl.create_default_context()


def failure_reason(url: str, context: ssl.SSLContext = PLAIN) -> FailureReason:
    outcome = fetch(url, context=context, deadline=2)
    assert isinstance(outcome, FetchFailure), outcome
    return outcome.reason


def got(reply: Reply) -> HttpAnswer:
    with impostor(reply) as server:
        outcome = fetch(f"http://localhost:{server.port}/x?y=z", context=PLAIN)
    assert isinstance(outcome, HttpAnswer), outcome
    return outcome


def test_an_answer() -> None:
    """Status, headers by their lower-case names with all their values, body."""
    headers = (("WWW-Authenticate", "Basic x"), ("WWW-Authenticate", "Bearer y"))
    found = got(Reply(401, headers, b"body"))
    assert (found.status, found.body, found.skew) == (401, b"body", None)
    assert found.headers["www-authenticate"] == ("Basic x", "Bearer y")
    assert (found.header("www-authenticate"), found.bearer(), found.header("none")) == ("Basic x", "Bearer y", None)


def test_redirects_are_not_followed_and_credentials_go_to_one_place() -> None:
    """The other server is never asked."""
    with impostor(Reply()) as other:
        reply = Reply(307, (("Location", f"http://localhost:{other.port}/"),))
        with impostor(reply) as server:
            outcome = fetch(f"http://localhost:{server.port}/", context=PLAIN, authorization=Secret("Basic eDp5"))
            assert isinstance(outcome, HttpAnswer)
            assert outcome.is_redirect
            assert server.authorizations == ["Basic eDp5"]
        assert other.authorizations == []


def test_a_large_body_is_cut() -> None:
    """No more than the limit is kept."""
    assert len(got(Reply(200, (), b"x" * (MAX_BODY + 100))).body) == MAX_BODY


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
        outcome = fetch(f"http://localhost:{port}/", context=PLAIN, deadline=0.5)
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
        outcome = fetch(f"{scheme}://localhost:{port}/", context=PLAIN, deadline=0.5)
    assert outcome == FetchFailure(FailureReason.TIMEOUT, f"{awaited} in 0.5 s")


def test_a_connection_that_does_not_come_about() -> None:
    """As behind a firewall that drops packets."""
    with blackhole() as port:
        outcome = fetch(f"http://127.0.0.1:{port}/", context=PLAIN, deadline=0.5)
    assert outcome == FetchFailure(FailureReason.TIMEOUT, "no connection in 0.5 s")


def test_a_name_that_is_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver cannot be interrupted, and is not waited for."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [None][over.wait(30) :])
    outcome = fetch("http://registry.example.com/", context=PLAIN, deadline=0.3)
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
        assert isinstance(fetch("http://registry.example.com/", context=PLAIN, deadline=3), HttpAnswer)


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
        assert isinstance(fetch(f"https://localhost:{server.port}/", context=authority.context()), HttpAnswer)
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
        assert isinstance(fetch("https://localhost/", context=authority.context(), address=at), HttpAnswer)
        outcome = fetch("https://registry.invalid/", context=authority.context(), address=at)
        assert isinstance(outcome, FetchFailure)
        assert outcome.reason is FailureReason.CERTIFICATE
    with impostor(Reply()) as server:
        assert isinstance(
            fetch("http://registry.invalid/", context=PLAIN, address=("127.0.0.1", server.port)), HttpAnswer
        )


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
        outcome = fetch(url, context=PLAIN, authorization=Secret("Bearer x"))
        assert outcome == FetchFailure(FailureReason.EXPOSED, "plain http to another machine")
        assert server.authorizations == []
        assert isinstance(fetch(url, context=PLAIN), HttpAnswer)
        found = check_transport("registry", url, outcome)
        assert found is not None
        assert (found.check, found.ok, found.is_actionable) == ("transport", None, True)


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
