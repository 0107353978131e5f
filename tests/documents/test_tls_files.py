"""TLS files: certificates and keys that the server can start with, and the CAs that it trusts as a client."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st
from rsa_keys import known_rsa, rsa_2048

from tokenserver.documents.tls_files import (
    check_server_files,
    client_context,
    load_client_certificate,
    server_certificate_end,
)
from tokenserver.errors import LoadError


def certificate_of(key: Any) -> bytes:
    """A certificate that this key has signed itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    is_edwards = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return built.sign(key, None if is_edwards else SHA256()).public_bytes(Encoding.PEM)


EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC_DER = x509.load_pem_x509_certificate(certificate_of(EC_KEY)).public_bytes(Encoding.DER)
VERSION_AT = EC_DER.index(b"\xa0\x03\x02\x01\x02") + 4


def written(folder: Path, key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> tuple[Path, Path]:
    """The paths of a certificate and of its key."""
    certificate, private = folder / "tls.pem", folder / "tls.key"
    certificate.write_bytes(certificate_of(key))
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    return certificate, private


def refused(certificate: Path, key: Path) -> list[str]:
    with pytest.raises(LoadError) as caught:
        check_server_files(certificate, key)
    return [f"{Path(fault.file).name}: {fault.message}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), id="Ed25519"),
        pytest.param(rsa_2048(), id="RSA"),
    ],
)
def test_keys_that_do(tmp_path: Path, key: Any) -> None:
    """Nothing is raised."""
    check_server_files(*written(tmp_path, key))


def test_the_end_of_a_certificate(tmp_path: Path) -> None:
    """That of the first one in the file, whatever text is in front of it."""
    certificate, _ = written(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    expected = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    certificate.write_bytes(b"subject=localhost\n" + certificate.read_bytes())
    assert server_certificate_end(certificate) == expected


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_has_no_end(tmp_path: Path, text: str) -> None:
    """As a fault of the file."""
    (tmp_path / "tls.pem").write_text(text)
    with pytest.raises(LoadError, match="contains no PEM certificate that can be read"):
        server_certificate_end(tmp_path / "tls.pem")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param(ec.generate_private_key(ec.SECP521R1()), "is a key on the curve secp521r1", id="P-521"),
        pytest.param(ed448.Ed448PrivateKey.generate(), "is a key of an unknown kind", id="Ed448"),
        pytest.param(known_rsa(2048, 3), "is an RSA key with the exponent 3", id="exponent"),
        pytest.param(known_rsa(4104), "is an RSA key of 4104 bits", id="large"),
    ],
)
def test_keys_that_only_openssl_takes(tmp_path: Path, key: Any, problem: str) -> None:
    """The server's own TLS library would end every worker; the message has those that it takes."""
    (message,) = refused(*written(tmp_path, key))
    assert message.startswith(f"tls.key: {problem}; the server accepts P-256, P-384, Ed25519")


def test_another_form_of_the_key(tmp_path: Path) -> None:
    """The message has the command that converts it."""
    certificate, key = written(tmp_path, rsa_2048(), PrivateFormat.TraditionalOpenSSL)
    (message,) = refused(certificate, key)
    assert message.endswith(f"convert it with: openssl pkcs8 -topk8 -nocrypt -in {key} -out NEW")


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    """Both are named."""
    certificate, key = written(tmp_path, rsa_2048())
    certificate.write_bytes(certificate_of(ec.generate_private_key(ec.SECP256R1())))
    (message,) = refused(certificate, key)
    assert message.startswith(f"tls.pem: does not work with {key}: ")


def test_both_files_are_looked_at(tmp_path: Path) -> None:
    """A missing certificate does not hide a key that others can read."""
    _, key = written(tmp_path, rsa_2048())
    key.chmod(0o644)
    first, second = refused(tmp_path / "none.pem", key)
    assert first.startswith("none.pem: cannot be read: No such file")
    assert "can be read by others" in second


def test_client_contexts(tmp_path: Path) -> None:
    """Only the CAs in the file, else those of the system; certificates are always verified."""
    (tmp_path / "ca.pem").write_bytes(certificate_of(rsa_2048()))
    for context in (client_context(None), client_context(tmp_path / "ca.pem")):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert client_context(tmp_path / "ca.pem").cert_store_stats()["x509"] == 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("\n", id="an empty line"),
        pytest.param("no certificate", id="text"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="garbled"),
    ],
)
def test_files_without_a_ca(tmp_path: Path, content: str) -> None:
    """Reported with the file, instead of a login that fails much later."""
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(LoadError, match="contains no PEM certificate of the CA"):
        client_context(tmp_path / "ca.pem")


def test_a_client_certificate(tmp_path: Path) -> None:
    """In each form of a key that OpenSSL reads; its subject and its end are known."""
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        for key in (rsa_2048(), ec.generate_private_key(ec.SECP256R1())):
            context = client_context(None)
            found = load_client_certificate(*written(tmp_path, key, form), context)
            assert found.subject == "CN=localhost"
            assert timedelta(hours=23) < found.not_after - datetime.now(UTC) <= timedelta(days=1)
            assert str(found) == f"CN=localhost until {found.not_after:%Y-%m-%d %H:%M} UTC"


def _other_key(certificate: Path, key: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _encrypted(certificate: Path, key: Path) -> None:
    encryption = BestAvailableEncryption(b"secret")
    key.write_bytes(rsa_2048().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def _encrypted_long_ago(certificate: Path, key: Path) -> None:
    encryption = BestAvailableEncryption(b"secret")
    key.write_bytes(rsa_2048().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption))


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        pytest.param(_other_key, ["tls.key: is not the key of "], id="another key"),
        pytest.param(_encrypted, ["tls.key: is encrypted, "], id="encrypted key"),
        pytest.param(_encrypted_long_ago, ["tls.key: is encrypted, "], id="encrypted key in the traditional form"),
        pytest.param(lambda _, key: key.write_text("x"), ["tls.key: is not the key of "], id="no key"),
        pytest.param(lambda _, key: key.write_text(""), ["tls.key: is not the key of "], id="an empty key"),
        pytest.param(lambda _, key: key.chmod(0o644), ["tls.key: can be read by others"], id="a key that others read"),
        pytest.param(
            lambda certificate, _: certificate.write_text("x"), ["tls.pem: contains no PEM certificate"], id="text"
        ),
        pytest.param(
            lambda certificate, key: (certificate.unlink(), key.unlink()),
            ["tls.key: cannot be read", "tls.pem: cannot be read"],
            id="neither is there",
        ),
    ],
)
def test_client_certificates_that_do_not_work(
    tmp_path: Path, spoil: Callable[[Path, Path], object], problems: list[str]
) -> None:
    """Each fault with its file; nobody is asked for the password of a key."""
    certificate, key = written(tmp_path, rsa_2048())
    spoil(certificate, key)
    with pytest.raises(LoadError) as caught:
        load_client_certificate(certificate, key, client_context(None))
    found = [f"{Path(fault.file).name}: {fault.message}" for fault in caught.value.faults]
    assert len(found) == len(problems)
    assert all(message.startswith(problem) for message, problem in zip(found, problems, strict=True)), found


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3))
@example([(VERSION_AT, 73)])
def test_whatever_is_in_a_certificate(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]) -> None:
    """docs/design/threats.md#threat-255: it is read, or it is a fault of the file."""
    folder = tmp_path_factory.mktemp("pair")
    certificate, key = written(folder, EC_KEY)
    der = bytearray(EC_DER)
    for at, value in changes:
        der[at] = value
    text = base64.encodebytes(bytes(der))
    certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n")
    readers: list[Callable[[], object]] = [
        lambda: check_server_files(certificate, key),
        lambda: server_certificate_end(certificate),
        lambda: load_client_certificate(certificate, key),
    ]
    for read in readers:
        with suppress(LoadError):
            read()
