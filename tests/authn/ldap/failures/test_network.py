"""Causes of failed connections: what sockets and OpenSSL report, and what it means."""

from __future__ import annotations

import ssl

import pytest

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.network import (
    connect_failure,
    handshake_failure,
    malformed_failure,
    reason_of,
    request_failure,
)


def tls_error(reason: str) -> ssl.SSLError:
    """An error of OpenSSL for this reason."""
    error = ssl.SSLError(1, "text")
    error.reason = reason
    return error


BROKEN = BrokenPipeError(32, "Broken pipe")


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    """An error of OpenSSL about a certificate."""
    error = ssl.SSLCertVerificationError(1, "text")
    error.verify_code, error.verify_message = code, "as OpenSSL says"
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ConnectionRefusedError(111, "Connection refused"), "connection refused", id="number and text"),
        pytest.param(TimeoutError("timed out"), "timeouterror", id="no number"),
        pytest.param(OSError("/etc/secret"), "oserror", id="a text of its own, which may hold data"),
        pytest.param(ValueError("cn=ann"), "ValueError", id="another error"),
        pytest.param(ssl.SSLError(1, "[SSL: X] y (_ssl.c:1)"), "the handshake failed", id="TLS without a reason"),
    ],
)
def test_reason_of(error: Exception, expected: str) -> None:
    """The kind of the error, and nothing of the data that it was about."""
    assert reason_of(error) == expected


def test_the_reason_of_a_failed_handshake() -> None:
    """The library's own word for it, in plain spelling."""
    assert reason_of(tls_error("WRONG_VERSION_NUMBER")) == "wrong version number"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        pytest.param(certificate_error(10), FailureCause.CERTIFICATE_EXPIRED, id="expired"),
        pytest.param(certificate_error(9), FailureCause.CERTIFICATE_NOT_YET_VALID, id="not yet valid"),
        pytest.param(certificate_error(18), FailureCause.SELF_SIGNED, id="self-signed"),
        pytest.param(certificate_error(19), FailureCause.UNKNOWN_CA, id="a CA in the chain that is not trusted"),
        pytest.param(certificate_error(20), FailureCause.UNKNOWN_CA, id="no CA"),
        pytest.param(certificate_error(62), FailureCause.WRONG_HOST, id="another name"),
        pytest.param(certificate_error(64), FailureCause.WRONG_HOST, id="another address"),
        pytest.param(certificate_error(66), FailureCause.CERTIFICATE_REJECTED, id="a small key"),
        pytest.param(TimeoutError(), FailureCause.TLS_SILENT, id="silence"),
        pytest.param(ssl.SSLEOFError(8, "eof"), FailureCause.TLS_CLOSED, id="the end"),
        pytest.param(ConnectionResetError(104, "reset"), FailureCause.TLS_CLOSED, id="a reset"),
        pytest.param(tls_error("WRONG_VERSION_NUMBER"), FailureCause.PLAIN_PORT, id="other bytes"),
        pytest.param(tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), FailureCause.CLIENT_CERTIFICATE, id="TLS 1.3"),
        pytest.param(tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), FailureCause.TLS_REFUSED, id="handshake failure"),
        pytest.param(tls_error("TLSV1_ALERT_UNKNOWN_CA"), FailureCause.CLIENT_CERTIFICATE_REJECTED, id="our CA"),
        pytest.param(
            tls_error("SSLV3_ALERT_CERTIFICATE_EXPIRED"), FailureCause.CLIENT_CERTIFICATE_REJECTED, id="ours expired"
        ),
        pytest.param(tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), FailureCause.TLS_MISMATCH, id="an old server"),
        pytest.param(tls_error("TLSV1_ALERT_INTERNAL_ERROR"), FailureCause.TLS_FAILED, id="anything else"),
        pytest.param(ValueError("x"), FailureCause.TLS_FAILED, id="a host that is no name"),
    ],
)
def test_a_failed_handshake(error: OSError | ValueError, cause: FailureCause) -> None:
    """Each has a cause of its own where the fix is another."""
    assert handshake_failure(error, "ldap.example.com").cause is cause


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(ConnectionRefusedError(111, "Connection refused"), "connection refused", id="refused"),
        pytest.param(TimeoutError("timed out"), "no answer in time to the connection", id="silence"),
        pytest.param(TimeoutError(110, "Connection timed out"), "no answer in time to the connection", id="ETIMEDOUT"),
        pytest.param(OSError(113, "No route to host"), "the server is unreachable: no route to host", id="no route"),
    ],
)
def test_a_failed_connection(error: OSError, text: str) -> None:
    """Refused, silent and unreachable are different: another port, another firewall, another route."""
    assert connect_failure(error, "ldap.example.com").text == text


@pytest.mark.parametrize(
    ("error", "tls", "is_new", "text"),
    [
        pytest.param(TimeoutError("timed out"), None, True, "no answer in time to the bind", id="silence"),
        pytest.param(BROKEN, None, False, "the connection was lost: broken pipe", id="lost"),
        pytest.param(EOFError(), None, False, "the server closed the connection without an answer", id="closed"),
        pytest.param(
            ssl.SSLEOFError(8, "eof"), "TLSv1.3", False, "the server closed the connection without an answer", id="TLS"
        ),
        pytest.param(BROKEN, None, True, "the server closed the connection without an answer", id="the first request"),
        pytest.param(
            EOFError(), "TLSv1.3", True, "the server closed the connection after the TLS handshake", id="after TLS"
        ),
        pytest.param(
            tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            "TLSv1.3",
            True,
            "the server demands a client certificate",
            id="TLS 1.3 says so after the handshake",
        ),
    ],
)
def test_a_request_without_an_answer(error: Exception, tls: str | None, is_new: bool, text: str) -> None:
    """It names the request that hangs; the end of a new connection may have a reason of its own."""
    assert request_failure(error, "bindRequest", tls, is_new=is_new).text == text


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x46", FailureCause.TLS_PORT, id="an alert of TLS"),
        pytest.param(b"HTTP/1.1 400", FailureCause.NOT_LDAP, id="HTTP"),
        pytest.param(b"", FailureCause.NOT_LDAP, id="nothing"),
    ],
)
def test_an_answer_that_is_not_ldap(data: bytes, cause: FailureCause) -> None:
    """A port that speaks TLS answers with an alert in clear text."""
    assert malformed_failure(ValueError("is not"), data).cause is cause
