"""Generation of private keys, the token CA and the signing certificates that it issues.

Registries trust only the CA, so a signing key can be replaced without touching any of them.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tokenserver.keys.jwk import libtrust_id, thumbprint
from tokenserver.keys.ring import Algorithm, PrivateKey, SigningKey

CA_LIFETIME = timedelta(days=3650)
SIGNING_LIFETIME = timedelta(days=825)

BACKDATED = timedelta(hours=1)
"""How far `notBefore` is in the past, because a registry's clock may be slow."""

RSA_BITS = 2048

_CA_SUFFIX = " token CA"
_MAX_COMMON_NAME = 64


def has_short_coordinate(key: ec.EllipticCurvePublicKey) -> bool:
    """Whether X or Y begins with a zero byte, as in one key of 128.

    Distribution 3 omits that byte, so for such a key it computes another thumbprint than RFC 7638.
    """
    point = key.public_numbers()
    return min(point.x, point.y).bit_length() <= key.curve.key_size - 8


def generate_private_key(algorithm: Algorithm) -> PrivateKey:
    """A new random key for `algorithm`."""
    match algorithm:
        case Algorithm.ES256:
            return generate_p256()
        case Algorithm.ES384:
            return _generate_ec(ec.SECP384R1())
        case Algorithm.RS256:
            return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        case Algorithm.EdDSA:  # pragma: no branch - the type checker proves that no other is left
            return ed25519.Ed25519PrivateKey.generate()


def generate_p256() -> ec.EllipticCurvePrivateKey:
    """A new random key on P-256. Keys with a short coordinate are discarded."""
    return _generate_ec(ec.SECP256R1())


def _generate_ec(curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    while True:
        key = ec.generate_private_key(curve)
        if not has_short_coordinate(key.public_key()):
            return key


def make_ca(key: ec.EllipticCurvePrivateKey, *, issuer: str, now: datetime) -> x509.Certificate:
    """A self-signed CA certificate for `key` that may issue signing certificates but no further CA."""
    name = _name(issuer, _CA_SUFFIX)
    return (
        _builder(key, name, name, now, now + CA_LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def issue_certificate(
    key: PrivateKey,
    *,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    issuer: str,
    now: datetime,
    lifetime: timedelta = SIGNING_LIFETIME,
) -> x509.Certificate:
    """A signing certificate for `key`, issued by the token CA. It is not a CA, and does not outlive its issuer.

    Tokens of `compat: universal` carry it, encoded in base64 twice, so it is as short as verifiers allow. It has no
    subject key identifier, which RFC 5280 (section 4.2.1.2) requires of CAs alone.
    """
    not_after = min(now + lifetime, ca.not_valid_after_utc)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _builder(key, _name(issuer), ca.subject, now, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def signing_key(
    key_id: str,
    algorithm: Algorithm,
    key: PrivateKey,
    certificate: x509.Certificate,
    *,
    since: datetime | None = None,
) -> SigningKey:
    """The signing key for `key` and its certificate, with all key ids that registries compute for it.

    `since` is when its state began; None: when the certificate was issued.
    """
    public = key.public_key()
    return SigningKey(
        id=key_id,
        algorithm=algorithm,
        private_key=key,
        public_key=public,
        chain=(certificate.public_bytes(Encoding.DER),),
        not_after=certificate.not_valid_after_utc,
        thumbprint=thumbprint(public),
        libtrust_id=libtrust_id(public),
        not_before=certificate.not_valid_before_utc,
        since=since or certificate.not_valid_before_utc + BACKDATED,
    )


def new_key_id(certificate: x509.Certificate, now: datetime) -> str:
    """A unique name for the files of a new key: the date and part of the certificate's hash."""
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    return f"{now:%Y-%m-%d}-{digest[:8]}"


def private_pem(key: PrivateKey) -> bytes:
    """The private key as unencrypted PKCS#8 PEM, for a file that only its owner can read."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    key: PrivateKey, subject: x509.Name, issuer: x509.Name, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(not_after)
    )


def _serial_number() -> int:
    """At least 64 random bits (CA/Browser Forum, baseline requirements, 7.1) in 9 bytes instead of 20."""
    return (1 << 70) | (x509.random_serial_number() >> 89)


def _name(issuer: str, suffix: str = "") -> x509.Name:
    """The issuer as a common name, which X.509 limits to 64 (here: bytes, since names need not be ASCII)."""
    room = _MAX_COMMON_NAME - len(suffix)
    cut = issuer.encode("utf-8")[:room].decode("utf-8", "ignore")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cut + suffix)])


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
