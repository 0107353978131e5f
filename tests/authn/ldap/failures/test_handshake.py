"""The server's first messages in a TLS handshake, up to where they are encrypted."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from rogue_directory import message, result

from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.failures.handshake import FirstFlight, first_flight


@pytest.fixture
def server(tmp_path: Path) -> tuple[ssl.SSLContext, bytes]:
    """A TLS server's settings, and its certificate in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "both.pem"
    path.touch(mode=0o600)
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, certificate.public_bytes(serialization.Encoding.DER)


def flight(context: ssl.SSLContext, *, is_start_tls: bool = False) -> FirstFlight:
    """What a server with these settings sends first."""
    ours, peer = socket.socketpair()

    def serve() -> None:
        with peer, suppress(OSError):
            if is_start_tls:
                assert peer.recv(31)[-1:] == b"7"
                peer.sendall(message(1, result(0x78)))
            context.wrap_socket(peer, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    with ours:
        found = first_flight(ours, "localhost", Deadline(5), is_start_tls=is_start_tls)
    thread.join(5)
    return found


@pytest.mark.parametrize("is_start_tls", [False, True])
@pytest.mark.parametrize("is_requested", [False, True])
def test_a_server(server: tuple[ssl.SSLContext, bytes], is_start_tls: bool, is_requested: bool) -> None:
    """Its certificate is read although it has expired, and is issued by nobody."""
    context, der = server
    if is_requested:
        context.verify_mode = ssl.CERT_REQUIRED
    assert flight(context, is_start_tls=is_start_tls) == FirstFlight(True, der, is_requested)


def test_a_server_with_nothing_but_tls_1_3(server: tuple[ssl.SSLContext, bytes]) -> None:
    """It answers with an alert: TLS it is, and more cannot be known."""
    context, _ = server
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert flight(context) == FirstFlight(is_tls=True)


@given(st.binary(max_size=60), st.booleans())
@settings(deadline=None)
def test_any_answer(data: bytes, is_start_tls: bool) -> None:
    """Whatever is sent instead, and then the end: nothing is raised, and nothing read that is not there."""
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        found = first_flight(ours, "localhost", Deadline(5), is_start_tls=is_start_tls)
    assert len(found.certificate) <= len(data)


def test_silence() -> None:
    """It is not waited for longer than until the deadline."""
    ours, peer = socket.socketpair()
    with ours, peer:
        assert first_flight(ours, "localhost", Deadline(0.05), is_start_tls=False) == FirstFlight()
