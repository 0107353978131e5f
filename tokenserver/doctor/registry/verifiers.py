"""Key lookup and signature verification as each kind of registry does it, with the reason for a rejection.

Distribution uses `x5c` if present, and otherwise `kid`. zot has a single key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.registry.pem import pem_blocks
from tokenserver.doctor.registry.trust_files import UnusableKey, jwk_public_key, key_names
from tokenserver.doctor.token import UnverifiedToken
from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE
from tokenserver.keys.ring import KeyRing, PublicKey
from tokenserver.keys.signatures import AlgorithmMismatch, SignatureLength, SignatureMismatch, verify_signature

MAX_CHAIN = 10
CUT = "its signature has the wrong length, as if the token was cut when it was copied"

_NOT_IN_2 = ("PS256", "PS384", "PS512", "EdDSA")


@dataclass(frozen=True, slots=True)
class Trusted:
    """The keys that a registry trusts: certificates, keys by `kid`, and bare keys."""

    certificates: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    by_kid: Mapping[str, PublicKey] = field(default_factory=dict, repr=False)
    bare: tuple[PublicKey, ...] = field(default=(), repr=False)


def trusted_files(bundle: bytes, jwks: Any) -> Trusted:
    """The keys in a registry's bundle and JWKS (a JSON value). Entries that cannot be parsed are left out."""
    listed_certificates = (block.content for block in pem_blocks(bundle) if block.type == "CERTIFICATE")
    try:
        certificates = tuple(x509.load_der_x509_certificate(content) for content in listed_certificates)
    except UNREADABLE_CERTIFICATE:
        certificates = ()
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    by_kid = {}
    for entry in listed if isinstance(listed, list) else ():
        key = jwk_public_key(entry)
        if key is not None and isinstance(entry.get("kid"), str):
            by_kid[entry["kid"]] = key
    return Trusted(certificates, by_kid)


def expected_trust(ring: KeyRing, compat: str) -> Trusted:
    """The keys that a registry with this `compat` should trust."""
    keys = ring.published()
    if compat == "universal":
        return Trusted((x509.load_pem_x509_certificate(ring.ca_certificate_pem.encode("ascii")),))
    if compat == "jwks":
        return Trusted(by_kid={key.thumbprint: key.public_key for key in keys})
    certificates = tuple(x509.load_der_x509_certificate(key.chain[0]) for key in keys)
    return Trusted(certificates[:1] if compat == "zot" else certificates)


def refusal(token: UnverifiedToken, trusted: Trusted, kind: RegistryKind, at: datetime) -> str | None:
    """Why a registry of this kind rejects the token's signature at the time `at`, or None if it accepts it."""
    if kind is RegistryKind.DISTRIBUTION2 and token.algorithm in _NOT_IN_2:
        return f"it cannot verify {token.algorithm}"
    if kind is RegistryKind.ZOT:
        return _by_only_key(token, trusted)
    if token.x5c is not None:
        key, problem = _by_chain(token.x5c, trusted, at)
    else:
        key, problem = _by_kid(token, trusted, kind)
    return problem if key is None else signature_problem(token, key)


def signature_problem(token: UnverifiedToken, key: object) -> str | None:
    """Why this key does not verify the signature (RFC 7518, section 3; RFC 8037, section 3.1), or None if it does."""
    try:
        verify_signature(key, token.algorithm, token.signature, token.signed)
    except AlgorithmMismatch:
        return "its algorithm does not match the key"
    except SignatureLength:
        return CUT
    except SignatureMismatch:
        return "its signature is wrong: it was changed, or signed by another key"
    return None


def _by_only_key(token: UnverifiedToken, trusted: Trusted) -> str | None:
    # zot reads only the first certificate of its file; a JWKS must hold exactly one key.
    first = [one.public_key() for one in trusted.certificates[:1]]
    keys: list[Any] = first or [*trusted.by_kid.values(), *trusted.bare]
    if len(keys) != 1:
        return "it does not have exactly one key to verify with"
    return signature_problem(token, keys[0])


def _by_kid(token: UnverifiedToken, trusted: Trusted, kind: RegistryKind) -> tuple[object | None, str]:
    if not token.kid:
        return None, "the token does not name its key"
    known: dict[str, object] = {}
    for one in trusted.certificates:
        key = one.public_key()
        try:
            known[key_names(key).kid(kind)] = key
        except UnusableKey:
            continue
    known.pop("", None)
    if kind is not RegistryKind.DISTRIBUTION2:
        known.update(trusted.by_kid)
    if token.kid not in known:
        return None, "it knows no key by the kid that the token names"
    return known[token.kid], ""


def _by_chain(chain: tuple[bytes, ...], trusted: Trusted, at: datetime) -> tuple[object | None, str]:
    """The leaf's key, if its path leads to a trusted certificate (RFC 5280, section 6, as Go implements it)."""
    try:
        certificates = [x509.load_der_x509_certificate(one) for one in chain]
    except UNREADABLE_CERTIFICATE:
        certificates = []
    if not certificates or len(certificates) > MAX_CHAIN:
        return None, "its certificates (x5c) cannot be read"
    leaf, intermediates = certificates[0], certificates[1:]
    if not trusted.certificates:
        return None, "the token carries its certificate (x5c), but the registry trusts no certificate"
    path = [leaf]
    while path[-1] not in trusted.certificates:
        issuers = [one for one in (*trusted.certificates, *intermediates) if one not in path and _issued(path[-1], one)]
        if not issuers:
            return None, "its certificate was not issued by one that the registry trusts"
        path.append(issuers[0])
    if any(not one.not_valid_before_utc <= at < one.not_valid_after_utc for one in path):
        return None, "a certificate in its chain is not valid now"
    return leaf.public_key(), ""


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
        return bool(by.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
