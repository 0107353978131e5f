"""Parses a registry's trusted keys: PEM bundles and JWKS files, with the key ids that each generation computes.

Nothing here opens a file. Parsing follows the registries: other blocks of a PEM bundle are ignored, and a certificate
that cannot be parsed keeps the registry from starting.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from tokenserver.doctor.facts import Certificate, JwksEntry, JwksFile, KeyNames, TrustFile
from tokenserver.doctor.registry.pem import BYTE_ORDER_MARK, damage, lost_certificates, pem_blocks
from tokenserver.documents.base64url import decode_base64url, encode_base64url
from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE
from tokenserver.keys.jwk import libtrust_id, thumbprint
from tokenserver.keys.ring import KeyRing, PublicKey

MAX_CERTIFICATES = 1000

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_EC: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


class UnusableKey(ValueError):
    """A key type that no registry supports."""


def key_names(key: object) -> KeyNames:
    """The key ids that each generation computes.

    Raises:
        UnusableKey: no registry supports the key type.
    """
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _ec_names(key)
    if isinstance(key, rsa.RSAPublicKey):
        name = thumbprint(key)
        return KeyNames(_spki(key), libtrust_id(key), name, name, name)
    if isinstance(key, ed25519.Ed25519PublicKey):
        # libtrust fails on such a key; 3.0 skips it.
        return KeyNames(_spki(key), "", thumbprint(key), "", thumbprint(key))
    raise UnusableKey


def read_bundle(content: bytes, path: str) -> TrustFile:
    """Parse a `rootcertbundle`, or zot's `cert`, which may also be a bare public key.

    `problem` says what registries skip silently if they see no certificate, and `lost` if they see some.
    """
    certificates: list[Certificate] = []
    public_keys: list[KeyNames] = []
    others: list[str] = []
    for number, block in enumerate(pem_blocks(content), 1):
        if number > MAX_CERTIFICATES:
            return TrustFile(path, f"holds more than {MAX_CERTIFICATES} PEM blocks")
        try:
            if block.type == "CERTIFICATE":
                certificates.append(certificate_facts(x509.load_der_x509_certificate(block.content)))
            elif block.type == "PUBLIC KEY":
                others.append(block.type)
                public_keys.append(key_names(load_der_public_key(block.content)))
            else:
                others.append(block.type)
        except (*UNREADABLE_CERTIFICATE, TypeError, UnsupportedAlgorithm):
            return TrustFile(path, f"holds a block {block.type} (the {number}.) that cannot be read")
    is_whole = bool(certificates or public_keys or others) and not lost_certificates(content)
    damaged = None if is_whole else damage(content)
    if damaged is not None and not certificates and not public_keys:
        return TrustFile(path, damaged, others=tuple(others))
    return TrustFile(path, None, tuple(certificates), tuple(public_keys), tuple(others), lost=damaged)


def certificate_facts(certificate: x509.Certificate) -> Certificate:
    """The facts about a certificate that checks use.

    Raises:
        ValueError: it cannot be parsed, or no registry supports its key.
    """
    key = certificate.public_key()
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    return Certificate(
        sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
        subject=certificate.subject.rfc4514_string() or "(no name)",
        is_ca=is_ca,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=_describe(key),
        names=key_names(key),
    )


def read_jwks(content: bytes, path: str) -> JwksFile:
    """Parse a JWKS (RFC 7517, section 5) as Distribution 3 does, whose JSON is UTF-8 without a byte order mark."""
    if content.startswith(BYTE_ORDER_MARK):
        return JwksFile(path, "begins with a byte order mark, with which the registry does not start")
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        return JwksFile(path, "is not UTF-8 text")
    except (ValueError, RecursionError):
        other = " but PEM, which belongs into rootcertbundle" if b"-----BEGIN " in content else ""
        other = " but an HTML page, the answer of something else" if content.lstrip()[:1] == b"<" else other
        return JwksFile(path, f"is not JSON{other}")
    if not isinstance(value, dict):
        return JwksFile(path, "is not a JSON object")
    if "keys" not in value and "kty" in value:
        return JwksFile(path, 'is a single JWK and not a set: {"keys": [ … ]}')
    keys = value.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_CERTIFICATES:
        return JwksFile(path, 'is not a JWKS: {"keys": [ … ]}')
    return JwksFile(path, None, tuple(_entry(key) for key in keys))


def jwk_public_key(key: Any) -> PublicKey | None:
    """The public key of a JWK (RFC 7517, section 4), or None if registries do not support it."""
    try:
        match key:
            case {"kty": "EC", "crv": str(curve), "x": str(x), "y": str(y)}:
                return ec.EllipticCurvePublicNumbers(_number(x), _number(y), _EC[curve]).public_key()
            case {"kty": "RSA", "n": str(n), "e": str(e)}:
                return rsa.RSAPublicNumbers(_number(e), _number(n)).public_key()
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                return ed25519.Ed25519PublicKey.from_public_bytes(decode_base64url(x))
    except (ValueError, KeyError, OverflowError, UnsupportedAlgorithm):
        pass
    return None


def ring_certificates(ring: KeyRing) -> tuple[Certificate, tuple[Certificate, ...]]:
    """The facts about the token CA and the certificate of each published key."""
    ca = x509.load_pem_x509_certificate(ring.ca_certificate_pem.encode("ascii"))
    signing = [x509.load_der_x509_certificate(key.chain[0]) for key in ring.published()]
    return certificate_facts(ca), tuple(certificate_facts(certificate) for certificate in signing)


def _entry(key: Any) -> JwksEntry:
    kid = key.get("kid") if isinstance(key, dict) else None
    public = jwk_public_key(key)
    return JwksEntry(kid if isinstance(kid, str) and kid else None, None if public is None else key_names(public))


def _ec_names(key: ec.EllipticCurvePublicKey) -> KeyNames:
    curve = _CURVES.get(key.curve.name)
    if curve is None:
        raise UnusableKey
    point, width = key.public_numbers(), (key.curve.key_size + 7) // 8
    generator = ec.derive_private_key(1, key.curve).public_key().public_numbers()
    right = _ec_thumbprint(curve, point.x.to_bytes(width, "big"), point.y.to_bytes(width, "big"))
    return KeyNames(
        spki=_spki(key),
        libtrust=libtrust_id(key),
        rfc7638=right,
        distribution30=_ec_thumbprint(curve, _short(generator.x), _short(generator.y)),
        distribution31=_ec_thumbprint(curve, _short(point.x), _short(point.y)),
    )


def _ec_thumbprint(curve: str, x: bytes, y: bytes) -> str:
    """RFC 7638, section 3.2, over coordinates that may not have the width that it demands."""
    text = json.dumps(
        {"crv": curve, "kty": "EC", "x": encode_base64url(x), "y": encode_base64url(y)}, separators=(",", ":")
    )
    return encode_base64url(hashlib.sha256(text.encode("ascii")).digest())


def _short(number: int) -> bytes:
    """A number as Go's big.Int.Bytes() encodes it: without leading zeros."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _spki(key: PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _describe(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else type(key).__name__


def _number(text: str) -> int:
    return int.from_bytes(decode_base64url(text), "big")
