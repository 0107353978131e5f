"""The server's own health check: where it connects, and which certificates it accepts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from harness.authority import Authority, served_by
from harness.misfits import Reply, impostor

from tokenserver.doctor.examination.health import _name, ask_server
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer
from tokenserver.errors import LoadError


def test_a_wildcard_is_asked_over_loopback() -> None:
    """A server that listens on every address is also here."""
    with impostor(Reply(200)) as server:
        outcome = ask_server(("0.0.0.0", server.port), None, "/healthz")  # noqa: S104 - nothing listens there
    assert isinstance(outcome, HttpAnswer), outcome
    assert outcome.status == 200


def test_ipv6() -> None:
    """Its wildcard is asked at ::1, where nothing listens on this port."""
    with impostor(Reply(200)) as server:
        outcome = ask_server(("::", server.port), None, "/healthz")
    assert isinstance(outcome, FetchFailure), outcome


@pytest.mark.parametrize("address", [None, "192.0.2.7", "2001:db8::7"])
def test_the_certificates_name_does_not_matter(address: str | None, tmp_path: Path) -> None:
    """It is for clients; here, the connection goes to this machine. It needs no CA in the file."""
    files = Authority(tmp_path, "company").issue(tmp_path, address=address)
    with impostor(Reply(200), context=served_by(*files)) as server:
        outcome = ask_server(("127.0.0.1", server.port), files[0], "/healthz")
    assert isinstance(outcome, HttpAnswer), outcome


def test_a_certificate_that_ended(tmp_path: Path) -> None:
    """No client accepts it, so the server is not healthy, and the reason is named."""
    files = Authority(tmp_path, "company").issue(tmp_path, is_expired=True)
    with impostor(Reply(200), context=served_by(*files)) as server:
        outcome = ask_server(("127.0.0.1", server.port), files[0], "/healthz")
    assert outcome == FetchFailure(FailureReason.CERTIFICATE, "certificate has expired")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate(content: bytes, tmp_path: Path) -> None:
    """A fault with the file's name."""
    file = tmp_path / "tls.pem"
    file.write_bytes(content)
    with pytest.raises(LoadError, match=r"tls\.pem: is not a PEM certificate"):
        ask_server(("127.0.0.1", 1), file, "/healthz")


def test_a_certificate_without_names(tmp_path: Path) -> None:
    """The CA's own has none; clients would reject it as well."""
    with pytest.raises(ValueError, match="no subjectAltName"):
        _name(Authority(tmp_path, "company").file.read_bytes())


def test_only_that_certificate_is_trusted(tmp_path: Path) -> None:
    """The system's CAs are not: nobody else can pass for the server."""
    from tokenserver.doctor.examination.health import _context

    context, name = _context(Authority(tmp_path, "company").issue(tmp_path)[0])
    assert (len(context.get_ca_certs()), name) == (0, "localhost")
    assert context.cert_store_stats()["x509"] == 1
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
