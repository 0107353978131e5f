"""Causes of failed connections: from the errors of sockets, and from OpenSSL's and the server's alerts in TLS."""

from __future__ import annotations

import ssl

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure

_VERIFY = {
    9: FailureCause.CERTIFICATE_NOT_YET_VALID,
    10: FailureCause.CERTIFICATE_EXPIRED,
    18: FailureCause.SELF_SIGNED,
    **dict.fromkeys((2, 19, 20, 21), FailureCause.UNKNOWN_CA),
    **dict.fromkeys((62, 64), FailureCause.WRONG_HOST),
}
"""X509_V_ERR_… of OpenSSL; 2 and 19 to 21: the chain does not lead to a trusted CA."""

CERTIFICATE_CAUSES = frozenset({*_VERIFY.values(), FailureCause.CERTIFICATE_REJECTED})
"""Causes for which the server's certificate says more."""

_REASONS = (
    ("CERTIFICATE_REQUIRED", FailureCause.CLIENT_CERTIFICATE),
    ("ALERT_HANDSHAKE_FAILURE", FailureCause.TLS_REFUSED),
    ("ALERT_INSUFFICIENT_SECURITY", FailureCause.TLS_MISMATCH),
    ("PROTOCOL_VERSION", FailureCause.TLS_MISMATCH),
    ("UNSUPPORTED_PROTOCOL", FailureCause.TLS_MISMATCH),
    ("NO_PROTOCOLS_AVAILABLE", FailureCause.TLS_MISMATCH),
    ("NO_SHARED_CIPHER", FailureCause.TLS_MISMATCH),
    ("DH_KEY_TOO_SMALL", FailureCause.TLS_MISMATCH),
    ("ALERT_BAD_CERTIFICATE", FailureCause.CLIENT_CERTIFICATE_REJECTED),
    ("ALERT_UNSUPPORTED_CERTIFICATE", FailureCause.CLIENT_CERTIFICATE_REJECTED),
    ("ALERT_CERTIFICATE_", FailureCause.CLIENT_CERTIFICATE_REJECTED),  # revoked, expired, unknown
    ("ALERT_UNKNOWN_CA", FailureCause.CLIENT_CERTIFICATE_REJECTED),
    ("ALERT_ACCESS_DENIED", FailureCause.CLIENT_CERTIFICATE_REJECTED),
    ("WRONG_VERSION_NUMBER", FailureCause.PLAIN_PORT),
    ("HTTP_REQUEST", FailureCause.PLAIN_PORT),
    ("RECORD_LAYER_FAILURE", FailureCause.PLAIN_PORT),
    ("PACKET_LENGTH_TOO_LONG", FailureCause.PLAIN_PORT),
)
"""Parts of OpenSSL's reasons, the first of which counts. A server that does not speak TLS answers with other bytes."""

_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake message of TLS begin (RFC 8446, section 5.1)."""
_REQUESTS = {"bindRequest": "bind", "searchRequest": "search", "extendedReq": "StartTLS request"}


def handshake_failure(error: OSError | ValueError, host: str) -> DirectoryFailure:
    """The failure of a handshake with `host`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = _VERIFY.get(error.verify_code, FailureCause.CERTIFICATE_REJECTED)
        return DirectoryFailure(cause, {"detail": error.verify_message, "host": host})
    if isinstance(error, TimeoutError):
        return DirectoryFailure(FailureCause.TLS_SILENT, {"host": host})
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return DirectoryFailure(FailureCause.TLS_CLOSED, {"host": host})
    return _tls_failure(error) or DirectoryFailure(FailureCause.TLS_FAILED, {"detail": reason_of(error)})


def connect_failure(error: OSError, host: str) -> DirectoryFailure:
    """The failure of a TCP connection to an address of `host`."""
    if isinstance(error, ConnectionRefusedError):
        return DirectoryFailure(FailureCause.REFUSED)
    if isinstance(error, TimeoutError):  # also of the operating system (ETIMEDOUT)
        return DirectoryFailure(FailureCause.CONNECT_SILENT, {"host": host})
    return DirectoryFailure(FailureCause.UNREACHABLE, {"detail": reason_of(error), "host": host})


def request_failure(error: Exception, request: str, tls: str | None, *, is_new: bool) -> DirectoryFailure:
    """The failure of sending a `request`, or of waiting for its answer; an `EOFError` is the end of the connection.

    `request` is its name in RFC 4511, appendix B, or a description, and `tls` the version in use; `is_new`: nothing has
    arrived on the connection before. In TLS 1.3 a server rejects the client's certificate only after the handshake
    (RFC 8446, section 4.4.2.4).
    """
    if isinstance(error, TimeoutError):
        return DirectoryFailure(FailureCause.SILENT, {"request": _REQUESTS.get(request, request)})
    known = _tls_failure(error)
    if known is not None:
        return known
    if is_new:
        return DirectoryFailure(FailureCause.CLOSED_PLAIN if tls is None else FailureCause.CLOSED_AFTER_TLS)
    if isinstance(error, (EOFError, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return DirectoryFailure(FailureCause.CLOSED)
    return DirectoryFailure(FailureCause.LOST, {"detail": reason_of(error)})


def malformed_failure(error: ValueError, data: bytes | bytearray) -> DirectoryFailure:
    """The failure of an answer in plain text that is not LDAP, and begins with `data`."""
    cause = FailureCause.TLS_PORT if data.startswith(_TLS_RECORDS) else FailureCause.NOT_LDAP
    return DirectoryFailure(cause, {"detail": str(error)})


def reason_of(error: Exception) -> str:
    """The text of an error, without its number and without any data."""
    if isinstance(error, ssl.SSLError):
        return (getattr(error, "reason", None) or "the handshake failed").replace("_", " ").lower()
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return type(error).__name__


def _tls_failure(error: Exception) -> DirectoryFailure | None:
    reason = (getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
    cause = next((cause for part, cause in _REASONS if part in reason), None)
    return None if cause is None else DirectoryFailure(cause, {"detail": reason_of(error)})
