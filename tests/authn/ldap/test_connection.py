"""One connection to a directory: what is sent, what counts as the answer, and when the connection can be reused."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rogue_directory import entry, message, policy_control, result, tagged, text

from tokenserver.authn.ldap.accounts.password_policy import NO_RESPONSE, BindResult, PolicyResponse
from tokenserver.authn.ldap.ber import (
    BIND_RESPONSE,
    DONE,
    EXTENDED_RESPONSE,
    INTERMEDIATE,
    PASSWORD_POLICY,
    REFERENCE,
    SearchEntry,
)
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.credentials import Secret
from tokenserver.runtime.tracing.spans import ActiveTrace, active

ADDRESS = Address("ldap://localhost", "localhost", 389, is_ldaps=False)

Pair = tuple[Connection, socket.socket]


def tagged_short(tag: int, content: bytes) -> bytes:
    """One value in BER of less than 128 bytes."""
    return bytes([tag, len(content)]) + content


def connected() -> Pair:
    """A connection, and the directory's end of it."""
    ours, theirs = socket.socketpair()
    return Connection(ADDRESS, ours), theirs


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connection, and the directory's end of it."""
    connection, peer = connected()
    with peer:
        yield connection, peer
        connection.close()


@pytest.mark.parametrize(
    ("dn", "password"),
    [
        pytest.param("", "secret", id="no DN"),
        pytest.param("  ", "secret", id="a blank DN"),
        pytest.param("cn=ann", "", id="no password"),
        pytest.param("cn=a\0nn", "secret", id="NUL in the DN"),
        pytest.param("cn=ann", "se\0cret", id="NUL in the password"),
    ],
)
def test_what_is_never_sent(dn: str, password: str, pair: Pair) -> None:
    """An anonymous or unauthenticated bind (RFC 4513, section 5.1) would succeed, so not a byte of it is sent."""
    connection, peer = pair
    with pytest.raises(ValueError, match="anonymous bind"):
        connection.bind(dn, Secret(password), Deadline(5))
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)


@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20))
def test_a_password_is_sent_as_it_was_typed(password: str) -> None:
    """Its UTF-8 bytes, unchanged: prepared as SASLprep wants it, it could be another one. The password policy control
    follows, which is not critical.
    """
    connection, peer = connected()
    with peer:
        peer.sendall(message(1, result(BIND_RESPONSE)))
        assert connection.bind("cn=ann", Secret(password), Deadline(5)).code == 0
        sent = password.encode("utf-8", "surrogatepass")
        controls = tagged_short(0xA0, tagged_short(0x30, tagged_short(0x04, PASSWORD_POLICY.encode())))
        assert peer.recv(4096).endswith(tagged_short(0x80, sent) + controls)
        connection.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            message(2, result(BIND_RESPONSE)),
            "the answer is to another request",
            id="another number",
        ),
        pytest.param(message(0, result(EXTENDED_RESPONSE)), "the server ended the session", id="a notice"),
        pytest.param(message(1, result(DONE)), "the answer does not match the request", id="another kind"),
        pytest.param(message(1, entry(b"cn=a", {})), "the answer does not match the request", id="an entry"),
        pytest.param(b"HTTP/1.1 400 Bad Request", "does not begin like an LDAP message", id="no LDAP"),
        pytest.param(b"\x30\x02\x04\x00", "is not an LDAP message", id="no message"),
        pytest.param(b"\x30\x84\x7f\xff\xff\xff", "is larger than", id="a length of two gigabytes"),
        pytest.param(b"", "the server closed the connection without an answer", id="closed"),
        pytest.param(message(1, result(BIND_RESPONSE))[:-1], "the server closed the connection", id="cut"),
    ],
)
def test_no_answer_to_a_bind(answer: bytes, reason: str, pair: Pair) -> None:
    """Anything but the result of this very request is a failure of the server; the connection is not used again."""
    connection, peer = pair
    peer.sendall(answer)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionFailed, match=reason) as caught:
        connection.bind("cn=ann", Secret("secret"), Deadline(5))
    assert "secret" not in str(caught.value)
    assert connection.is_waiting
    assert not connection.is_quiet()


def test_a_silent_server(pair: Pair) -> None:
    """The wait ends with the deadline, also between two bytes of an answer."""
    connection, peer = pair
    with pytest.raises(ConnectionFailed, match="no answer in time"):
        connection.bind("cn=ann", Secret("secret"), Deadline(0.05))
    peer.sendall(message(2, result(BIND_RESPONSE))[:5])
    with pytest.raises(ConnectionFailed, match="no answer in time"):
        connection.bind("cn=ann", Secret("secret"), Deadline(0.05))


def test_a_deadline_that_has_passed_sends_nothing(pair: Pair) -> None:
    """Neither a search nor a bind begins."""
    connection, peer = pair
    with pytest.raises(ConnectionFailed, match="no answer in time to the search"):
        connection.search("dc=x", "(uid=ann)", ["uid"], Deadline(0), limit=1)
    with pytest.raises(ConnectionFailed, match="no answer in time to the bind"):
        connection.bind("cn=ann", Secret("secret"), Deadline(0))
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)


def ask(connection: Connection, limit: int = 0) -> tuple[SearchEntry, ...]:
    """The entries of a search."""
    return connection.search("dc=x", "(uid=ann)", ["uid"], Deadline(5), limit=limit).entries


ANN = message(1, entry(b"uid=ann", {b"uid": [b"ann"]}))
END = message(1, result(DONE))


@pytest.mark.parametrize(
    ("answer", "limit", "count"),
    [
        pytest.param(END, 0, 0, id="nothing"),
        pytest.param(ANN + END, 2, 1, id="one entry"),
        pytest.param(ANN * 5 + END, 2, 2, id="more than asked for"),
        pytest.param(ANN * 5 + END, 0, 5, id="no limit"),
        pytest.param(message(1, tagged(REFERENCE, text(b"ldap://evil"))) + ANN + END, 2, 1, id="a reference"),
        pytest.param(message(1, tagged(INTERMEDIATE, b"")) + END, 2, 0, id="an intermediate response"),
    ],
)
def test_what_a_search_finds(answer: bytes, limit: int, count: int, pair: Pair) -> None:
    """At most as many entries as asked for are kept; references to other servers are not followed."""
    connection, peer = pair
    peer.sendall(answer)
    assert len(ask(connection, limit)) == count
    assert connection.is_quiet()


def test_a_search_that_is_answered_by_something_else(pair: Pair) -> None:
    """A result of another operation does not end a search."""
    connection, peer = pair
    peer.sendall(ANN + message(1, result(BIND_RESPONSE)))
    with pytest.raises(ConnectionFailed, match="it is not a search result"):
        ask(connection)


def test_pages(pair: Pair) -> None:
    """The cookie of one page requests the next; it is sent as it came."""
    connection, peer = pair
    control = tagged(0x30, text(b"1.2.840.113556.1.4.319") + text(b"\x30\x08\x02\x01\x00\x04\x03abc"))
    peer.sendall(message(1, result(DONE), tagged(0xA0, control)) + message(2, result(DONE)))
    found = connection.page("dc=x", "(uid=*)", ["uid"], Deadline(5), size=2, cookie=b"")
    assert found.cookie == b"abc"
    assert connection.page("dc=x", "(uid=*)", ["uid"], Deadline(5), size=2, cookie=found.cookie).cookie == b""
    assert b"abc" in peer.recv(4096)


def test_a_filter_that_cannot_be_encoded(pair: Pair) -> None:
    """The configuration is at fault and not the server, which stays in use."""
    connection, _ = pair
    with pytest.raises(Unanswerable, match="the request cannot be encoded") as caught:
        connection.search("dc=x", "(uid)", ["uid"], Deadline(5), limit=1)
    assert "correct user_filter" in caught.value.failure.fix
    assert connection.is_quiet()


@pytest.mark.parametrize(
    ("unasked", "is_quiet"),
    [pytest.param(b"", True, id="nothing"), pytest.param(message(0, result(EXTENDED_RESPONSE)), False, id="a notice")],
)
def test_a_connection_that_can_be_reused(unasked: bytes, is_quiet: bool, pair: Pair) -> None:
    """It is open, and nothing arrived that was not asked for."""
    connection, peer = pair
    peer.sendall(message(1, result(BIND_RESPONSE)) + unasked)
    connection.bind("cn=ann", Secret("secret"), Deadline(5))
    assert connection.is_quiet() is is_quiet


def test_a_connection_that_the_server_closed(pair: Pair) -> None:
    """It is not reused, and closing it fails neither then nor twice."""
    connection, peer = pair
    peer.close()
    assert not connection.is_quiet()
    connection.close()
    connection.close()
    assert not connection.is_quiet()


def test_a_closed_connection_says_goodbye(pair: Pair) -> None:
    """An unbind request (RFC 4511, section 4.3) is the last that the server sees."""
    connection, peer = pair
    connection.close()
    assert peer.recv(64) == b"\x30\x05\x02\x01\x01\x42\x00"
    assert peer.recv(64) == b""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(message(1, result(EXTENDED_RESPONSE, 2)), "StartTLS is rejected: result 2", id="refused"),
        pytest.param(
            message(1, result(EXTENDED_RESPONSE)) + b"\x30", "sent data between StartTLS and TLS", id="injected data"
        ),
        pytest.param(message(1, result(BIND_RESPONSE)), "does not match the request", id="another answer"),
    ],
)
def test_start_tls_that_must_not_be_trusted(answer: bytes, reason: str, pair: Pair) -> None:
    """Without a clean switch to TLS nothing more is sent (RFC 4511, section 4.14)."""
    connection, peer = pair
    peer.sendall(answer)
    with pytest.raises(ConnectionFailed, match=reason):
        connection.start_tls(ssl.create_default_context(), Deadline(5))
    assert connection.tls is None


def _answer_in_http(peer: socket.socket) -> None:
    peer.recv(4096)
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_server_that_does_not_speak_tls(pair: Pair) -> None:
    """An answer in plain text ends the handshake, and silence ends it with the deadline."""
    connection, peer = pair
    with pytest.raises(ConnectionFailed, match="no answer to the TLS handshake in time") as caught:
        connection.secure(ssl.create_default_context(), Deadline(0.05))
    assert caught.value.cause is FailureCause.TLS_SILENT
    connection, peer = connected()
    with peer:
        thread = threading.Thread(target=_answer_in_http, args=(peer,))
        thread.start()
        with pytest.raises(ConnectionFailed, match=r"the port does not speak TLS \(wrong version number\)"):
            connection.secure(ssl.create_default_context(), Deadline(5))
        thread.join()
        connection.close()


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        pytest.param(b"\x30\x00", NO_RESPONSE, id="nothing to say"),
        pytest.param(b"\x30\x05\xa0\x03\x81\x01\x02", PolicyResponse(grace_left=2), id="a grace login"),
        pytest.param(b"\x30\x03\x81\x01\x02", PolicyResponse(error=2), id="the password must be changed"),
    ],
)
def test_what_the_password_policy_says(value: bytes, policy: PolicyResponse, pair: Pair) -> None:
    """It comes with the result of the bind."""
    connection, peer = pair
    peer.sendall(message(1, result(BIND_RESPONSE), policy_control(value)))
    assert connection.bind("cn=ann", Secret("secret"), Deadline(5)) == BindResult(0, "", policy=policy)
    assert not connection.is_waiting


def test_a_damaged_password_policy(pair: Pair) -> None:
    """A success with a damaged control is no success: it may be the one after which the password must be changed."""
    connection, peer = pair
    peer.sendall(message(1, result(BIND_RESPONSE), policy_control(b"\x30\x03\x81\x01")))
    with pytest.raises(ConnectionFailed, match="the answer is not LDAP: it has a value that is longer than its frame"):
        connection.bind("cn=ann", Secret("secret"), Deadline(5))
    assert connection.is_waiting


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        pytest.param(0, b"dn:cn=ann", "dn:cn=ann", id="a DN"),
        pytest.param(0, b"", "", id="anonymous"),
        pytest.param(0, b"u:\xff", "u:\ufffd", id="no text"),
        pytest.param(2, b"", None, id="a server that does not know the question"),
    ],
)
def test_who_the_connection_is(code: int, value: bytes, expected: str | None, pair: Pair) -> None:
    """RFC 4532; an absent value and an empty one are both anonymous."""
    connection, peer = pair
    response = tagged(EXTENDED_RESPONSE, b"\x0a\x01" + bytes([code]) + text(b"") + text(b"") + tagged(0x8B, value))
    peer.sendall(message(1, response) + message(2, result(EXTENDED_RESPONSE)))
    assert connection.who_am_i(Deadline(5)) == expected
    assert connection.who_am_i(Deadline(5)) == ""
    assert not connection.is_waiting


def test_a_bind_with_the_certificate(pair: Pair) -> None:
    """SASL EXTERNAL: no name, no password, and the result with what the password policy says."""
    connection, peer = pair
    peer.sendall(message(1, result(BIND_RESPONSE), policy_control(b"\x30\x03\x81\x01\x02")))
    assert connection.bind_external(Deadline(5)) == BindResult(0, "", policy=PolicyResponse(error=2))
    assert peer.recv(4096).startswith(b"\x30\x37\x02\x01\x01\x60\x13\x02\x01\x03\x04\x00\xa3\x0c\x04\x08EXTERNAL")


def test_round_trips_are_steps_of_a_traced_request(pair: Pair) -> None:
    """Without names and filters, and with the type of what went wrong."""
    connection, peer = pair
    peer.sendall(message(1, result(BIND_RESPONSE)) + message(2, result(DONE)) + message(3, result(DONE)))
    trace = ActiveTrace(None, is_traced=True)
    with active(trace):
        connection.bind("cn=ann", Secret("secret"), Deadline(5))
        ask(connection)
        with pytest.raises(ConnectionFailed):
            connection.bind_external(Deadline(5))
    assert [(span.name, span.attributes, span.error) for span in trace.finished().spans] == [
        ("ldap bind", {}, None),
        ("ldap search", {}, None),
        ("ldap bind", {}, "ConnectionFailed"),
    ]
