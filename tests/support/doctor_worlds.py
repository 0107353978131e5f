"""Both sides of the doctor's checks, made without files: rings of every algorithm, our side, a registry's setup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokenserver.doctor.checks.trust import RegistryTrust
from tokenserver.doctor.facts import (
    Certificate,
    JwksEntry,
    JwksFile,
    KeyNames,
    OurKey,
    OurRegistry,
    Ours,
    RegistryKind,
    Setup,
    TrustFile,
)
from tokenserver.doctor.registry.trust_files import ring_certificates
from tokenserver.keys.certificates import (
    generate_p256,
    generate_private_key,
    issue_certificate,
    make_ca,
    signing_key,
)
from tokenserver.keys.ring import Algorithm, KeyRing

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
SERVICE = "registry.example.com"
ISSUER = "auth.example.com"
REALM = "https://auth.example.com/token"


@cache
def ring_of(algorithm: Algorithm = Algorithm.ES256, *, number: int = 0, now: datetime = NOW) -> KeyRing:
    """A ring with one key that signs and one that will, made at `now`; another one for each number."""
    ca_key = generate_p256()
    ca = make_ca(ca_key, issuer=f"{ISSUER} {number}", now=now)
    keys = []
    for name in ("active", "next", "retired"):
        key = generate_private_key(algorithm)
        certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer=ISSUER, now=now)
        keys.append(signing_key(name, algorithm, key, certificate))
    pem = ca.public_bytes(Encoding.PEM).decode()
    return KeyRing(pem, ca.not_valid_after_utc, keys[0], next=(keys[1],), retired=(keys[2],))


def signing_pem(ring: KeyRing) -> bytes:
    """The certificates of all keys, as `registry-config` writes them."""
    return "".join(key.certificate_pem for key in ring.published()).encode()


def public_pem(ring: KeyRing) -> bytes:
    """The key that signs, as a bare public key."""
    return ring.active.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def self_signed_leaf() -> bytes:
    """A certificate that is no CA and was issued by none of ours."""
    ring = ring_of(number=9)
    return ring.active.certificate_pem.encode()


def ours_of(ring: KeyRing | None = None, *, compat: str = "universal", url: str | None = None) -> Ours:
    """Our side with one registry."""
    ring = ring or ring_of()
    ca, certificates = ring_certificates(ring)
    keys = [OurKey(key.id, key.algorithm.value, one) for key, one in zip(ring.published(), certificates, strict=True)]
    registry = OurRegistry(SERVICE, ISSUER, compat, 900, url)
    return Ours(
        "tokenserver.yaml", "https://auth.example.com", REALM, (registry,), ca, tuple(keys[:2]), tuple(keys[2:])
    )


def setup_of(**changes: Any) -> Setup:
    """A registry that is configured well, but for the changes."""
    right = Setup(
        is_zot=False,
        auth="token",
        realm=REALM,
        service=SERVICE,
        issuer=ISSUER,
        bundle="/etc/ca.pem",
        places={"": "config.yml:1", "realm": "config.yml:5"},
    )
    return replace(right, **changes)


def bundle_of(*certificates: Certificate, **changes: Any) -> TrustFile:
    """A bundle with these certificates."""
    return replace(TrustFile("/etc/ca.pem", None, certificates), **changes)


def jwks_of(*entries: tuple[str | None, KeyNames | None]) -> JwksFile:
    """A JWKS with these keys by their kid."""
    return JwksFile("/etc/jwks.json", None, tuple(JwksEntry(kid, names) for kid, names in entries))


def stranger(*, is_ca: bool = True) -> Certificate:
    """Somebody else's certificate."""
    other = ours_of(ring_of(number=7))
    return other.ca if is_ca else other.active.certificate


def trust_of(
    ours: Ours,
    bundle: TrustFile | None,
    jwks: JwksFile | None = None,
    kinds: tuple[RegistryKind, ...] = (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION3),
    at: datetime = NOW,
    **setup: Any,
) -> RegistryTrust:
    """A registry that trusts these files."""
    return RegistryTrust(
        setup=setup_of(**setup), ours=ours, registry=ours.registries[0], kinds=kinds, bundle=bundle, jwks=jwks, at=at
    )


def ca_of(ring: KeyRing) -> x509.Certificate:
    """A ring's token CA."""
    return x509.load_pem_x509_certificate(ring.ca_certificate_pem.encode())
