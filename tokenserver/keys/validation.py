"""Validation of loaded keys and certificates: why one cannot be used, and what is expected instead.

A reason never repeats content of a file; errors of the cryptography library are dropped, since they could.
"""

from __future__ import annotations

import re
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE
from tokenserver.errors import TokenserverError
from tokenserver.keys.certificates import has_short_coordinate
from tokenserver.keys.ring import Algorithm, PrivateKey

_PRIVATE_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_WANTED = "an EC key on P-256 or P-384, an RSA key of at least 2048 bits or an Ed25519 key"
_ENCRYPTED = "is encrypted; store it unencrypted and readable only by its owner"


class UnfitKey(TokenserverError):
    """A key or certificate cannot be used; the text is the reason and repeats no content of the file."""


def parse_private_key(pem: bytes) -> PrivateKey:
    """Parse one unencrypted private key in PEM, of a type that can sign.

    Raises:
        UnfitKey: with the reason.
    """
    problem = f"is not a private key in PEM that can be used here; expected {_WANTED}"
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        problem = _ENCRYPTED
    except UnsupportedAlgorithm:
        problem = f"is a key of an unsupported kind or on an unsupported curve; expected {_WANTED}"
    except ValueError:
        pass
    else:
        if isinstance(key, PrivateKey):
            return key
        problem = f"is a key of the wrong kind; expected {_WANTED}"
    # Raised outside the handlers, so that the library's error, which may contain the file, is not in the traceback.
    raise UnfitKey(problem)


def parse_certificate(pem: bytes) -> x509.Certificate:
    """The only certificate of a PEM file, which will be published.

    Raises:
        UnfitKey: there is no certificate, several, or also a private key.
    """
    if _PRIVATE_BLOCK.search(pem):
        raise UnfitKey("contains a private key, but certificates are published; keep the key in its own .key file")
    try:
        found = x509.load_pem_x509_certificates(pem)
    except UNREADABLE_CERTIFICATE:
        found = []
    if len(found) != 1:
        raise UnfitKey(f"contains {len(found) or 'no'} readable PEM certificates; it must contain exactly one")
    return found[0]


def signing_algorithm(key: PrivateKey) -> Algorithm:
    """The algorithm that the type of the key implies.

    Raises:
        UnfitKey: the key is weak, or registries disagree about its thumbprint.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Algorithm.EdDSA
    if isinstance(key, rsa.RSAPrivateKey):
        _check_rsa(key.public_key())
        return Algorithm.RS256
    if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise UnfitKey(f"is an EC key on the curve {key.curve.name}; expected P-256 (secp256r1) or P-384 (secp384r1)")
    if has_short_coordinate(key.public_key()):
        raise UnfitKey(
            "is an EC key whose X or Y coordinate begins with a zero byte: Distribution 3 computes a different"
            " thumbprint for it than other registries; create a new key"
        )
    return Algorithm.ES256 if isinstance(key.curve, ec.SECP256R1) else Algorithm.ES384


def ca_problem(ca: x509.Certificate, now: datetime) -> str | None:
    """Why `ca` cannot be the token CA; None if it can."""
    if not _is_ca(ca):
        return "is not a CA certificate (basicConstraints CA:TRUE, keyUsage keyCertSign); registries would refuse it"
    problem = date_problem(ca, now)
    if problem is not None:
        return problem
    try:
        key = ca.public_key()
    except (UnsupportedAlgorithm, ValueError):
        key = None
    if isinstance(key, rsa.RSAPublicKey):
        try:
            _check_rsa(key)
        except UnfitKey as error:
            return str(error)
        return None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1):
        return None
    return "has a key that not every registry accepts; a token CA has an EC key (P-256) or an RSA key"


def certificate_problem(certificate: x509.Certificate, key: PrivateKey, ca: x509.Certificate | None) -> str | None:
    """Why `certificate` is not valid for `key` under `ca` (None: unknown, not checked); None if it is."""
    if not belongs_to(certificate, key):
        return "does not match its key: copy both files of the pair from the same place"
    if _is_ca(certificate):
        return "is a CA certificate; a signing certificate is issued by the token CA and is not a CA itself"
    if ca is None:
        return None
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return "was not issued by the token CA in token-ca.pem: registries that trust that CA would refuse its tokens"
    return None


def date_problem(certificate: x509.Certificate, now: datetime) -> str | None:
    """Why `certificate` is not valid at `now`; None if it is."""
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; is this clock right?"
    if now >= certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}; registries refuse it, so new keys are needed"
    return None


def belongs_to(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether `certificate` has the public key of `key`."""
    try:
        return certificate.public_key() == key.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return False


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if key.key_size < 2048:
        raise UnfitKey(f"is an RSA key of {key.key_size} bits, which is too weak; at least 2048 are required")
    exponent = key.public_numbers().e
    if exponent != 65537:
        raise UnfitKey(f"is an RSA key with the public exponent {exponent}; expected 65537")


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        return is_ca and extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return is_ca
