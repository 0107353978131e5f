"""A certificate that a key signs itself, as `openssl req -x509` makes one for docker_auth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def self_signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, days: int = 3650) -> bytes:
    """The certificate in PEM; it is that of a CA, too."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "us")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(BEGIN).not_valid_after(BEGIN + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def of_version(der: bytes, version: int) -> bytes:
    """A certificate in DER with another version number, which its signature then does not cover."""
    field = b"\xa0\x03\x02\x01"
    assert der.count(field + b"\x02") == 1
    return der.replace(field + b"\x02", field + bytes([version]))
