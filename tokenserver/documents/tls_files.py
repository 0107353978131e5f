"""TLS files: the server's certificate and key; as a client, the CAs that it trusts and the certificate it presents."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import InvalidVersion, load_pem_x509_certificate
from cryptography.x509.oid import PublicKeyAlgorithmOID

from tokenserver.documents.files import read_file, read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word

MIN_RSA, MAX_RSA = 2048, 4096
MIN_EXPONENT = 65537
CURVES = frozenset({"secp256r1", "secp384r1"})
_FIT = (
    f"the server accepts P-256, P-384, Ed25519, and RSA of {MIN_RSA} to {MAX_RSA} bits with the exponent {MIN_EXPONENT}"
)
UNREADABLE_CERTIFICATE = (ValueError, InvalidVersion)
"""What cryptography raises about a certificate; some parts of one are read only when they are asked for."""

_BEGIN = b"-----BEGIN CERTIFICATE-----"


def check_server_files(certificate: Path, key: Path) -> None:
    """Check that a server can start with this certificate (chain) and key.

    Raises:
        LoadError: a file is missing or unsafe, the key is not PKCS#8 (granian accepts no other form) or of a kind that
            granian's TLS library does not support, or the files do not belong together.
    """
    faults: list[Fault] = []
    pem = chain = b""
    try:
        chain = read_file(certificate)
    except LoadError as error:
        faults.extend(error.faults)
    try:
        pem = read_file(key, private=True)
    except LoadError as error:
        faults.extend(error.faults)
    if faults:
        raise LoadError(faults)
    if b"-----BEGIN PRIVATE KEY-----" not in pem:
        fix = f"openssl pkcs8 -topk8 -nocrypt -in {shell_word(key)} -out NEW"
        raise LoadError([Fault(str(key), 0, "", f"must be an unencrypted PKCS#8 PEM key; convert it with: {fix}")])
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise LoadError([Fault(str(certificate), 0, "", f"does not work with {key}: {reason}")]) from error
    # The server's TLS library (rustls) rejects some keys that OpenSSL accepts, and every worker would exit on one.
    if _BEGIN not in chain:
        problem = "must contain BEGIN CERTIFICATE lines; convert it with: openssl x509 -in OLD -out NEW"
        raise LoadError([Fault(str(certificate), 0, "", problem)])
    problem_with_key = _unfit(pem, chain)
    if problem_with_key is not None:
        raise LoadError([Fault(str(key), 0, "", f"{problem_with_key}; {_FIT}")])


@dataclass(slots=True)
class PresentedCertificate:
    """The certificate that this process presents to clients: when it expires, None without TLS or if it is unknown."""

    end: datetime | None = None


def server_certificate_end(certificate: Path) -> datetime:
    """When the certificate of a server, the first one in its file, expires.

    Raises:
        LoadError: the file is missing or unsafe, or its certificate cannot be read.
    """
    chain = read_file(certificate)
    try:
        return load_pem_x509_certificate(chain[chain.index(_BEGIN) :]).not_valid_after_utc
    except UNREADABLE_CERTIFICATE as error:
        raise LoadError([Fault(str(certificate), 0, "", "contains no PEM certificate that can be read")]) from error


def _unfit(pem: bytes, chain: bytes) -> str | None:
    """Why rustls cannot sign with this key, which OpenSSL has accepted; None if it can."""
    try:
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, RSAPrivateKey) and key.key_size > MAX_RSA:
            return f"is an RSA key of {key.key_size} bits"  # validating it would take seconds, or minutes
        key = load_pem_private_key(pem, None)
        oid = load_pem_x509_certificate(chain[chain.index(_BEGIN) :]).public_key_algorithm_oid
    except (*UNREADABLE_CERTIFICATE, TypeError, UnsupportedAlgorithm):
        return "is a key of an unknown kind"
    if isinstance(key, RSAPrivateKey):
        if oid != PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5:
            return "is an RSA key restricted to PSS"
        if not MIN_RSA <= key.key_size <= MAX_RSA:
            return f"is an RSA key of {key.key_size} bits"
        exponent = key.public_key().public_numbers().e
        return None if exponent >= MIN_EXPONENT else f"is an RSA key with the exponent {exponent}"
    if isinstance(key, EllipticCurvePrivateKey):
        return None if key.curve.name in CURVES else f"is a key on the curve {key.curve.name}"
    return None if isinstance(key, Ed25519PrivateKey) else "is a key of an unknown kind"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate that this server presents as a client: its subject (RFC 4514) and when it expires."""

    subject: str
    not_after: datetime

    def __str__(self) -> str:
        return f"{self.subject} until {self.not_after:%Y-%m-%d %H:%M} UTC"


def load_client_certificate(certificate: Path, key: Path, context: ssl.SSLContext | None = None) -> ClientCertificate:
    """Load the certificate (with the chain of its CAs, if any) and its key, to be presented by `context`.

    Raises:
        LoadError: a file is missing or unsafe, is not PEM, the key is encrypted, or the two do not belong together.
    """
    faults: list[Fault] = []
    contents = []
    for path in (certificate, key):
        try:
            contents.append(read_file(path, private=path == key))
        except LoadError as error:
            faults.extend(error.faults)
    if faults:
        raise LoadError(faults)
    chain, pem = contents
    try:
        found = load_pem_x509_certificate(chain)
        presented = ClientCertificate(found.subject.rfc4514_string(), found.not_valid_after_utc)
    except UNREADABLE_CERTIFICATE as error:
        problem = "contains no PEM certificate; fix: openssl x509 -inform DER -in OLD -out NEW"
        raise LoadError([Fault(str(certificate), 0, "", problem)]) from error
    # OpenSSL would ask for the password at the terminal.
    if b"ENCRYPTED" in pem:
        problem = f"is encrypted, and nobody could type its password; fix: openssl pkey -in {shell_word(key)} -out NEW"
        raise LoadError([Fault(str(key), 0, "", problem)])
    try:
        (context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).load_cert_chain(certificate, key, password=str)
    except (ssl.SSLError, OSError) as error:
        reason = (getattr(error, "reason", None) or error.strerror or "unknown").replace("_", " ").lower()
        problem = f"is not the key of {certificate}, or not a PEM key: {reason}"
        raise LoadError([Fault(str(key), 0, "", problem)]) from error
    return presented


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """A TLS context that trusts only the CAs in the file; without a file, those of the system.

    Raises:
        LoadError: the file is missing or unsafe, or contains no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    pem = read_text(ca_file)
    problem = "contains no PEM certificate of the CA that issued the directory's certificate"
    if not pem:  # for create_default_context, this would be the same as no file, and it would trust the system's CAs
        raise LoadError([Fault(str(ca_file), 0, "", problem)])
    try:
        return ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise LoadError([Fault(str(ca_file), 0, "", problem)]) from error
