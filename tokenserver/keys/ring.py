"""The key ring: the active signing key, and the keys that verifiers must know. Nothing here prints a key.

Pure types; `validation` checks their content, `store` reads and writes them.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class Algorithm(StrEnum):
    """Signing algorithm: an `alg` of RFC 7518, section 3.1, or RFC 8037, section 3.1. It implies the key type."""

    ES256 = "ES256"
    ES384 = "ES384"
    RS256 = "RS256"
    EdDSA = "EdDSA"


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key with its certificate. Its `repr` shows no key material.

    `id` names the key's files. `chain` is the certificate in DER, followed by those between it and the token CA (none
    today). `public_key` is the certificate's, so that verifying with it checks what registries trust. `thumbprint` is
    that of RFC 7638, `libtrust_id` the fingerprint that Distribution 2 computes. The certificate is valid from
    `not_before` to `not_after`; the key has been in its state since `since`.
    """

    id: str
    algorithm: Algorithm
    private_key: PrivateKey = field(repr=False)
    public_key: PublicKey = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    not_after: datetime
    thumbprint: str
    libtrust_id: str
    not_before: datetime
    since: datetime

    @property
    def x5c(self) -> tuple[str, ...]:
        """The chain for the `x5c` header: standard base64, not URL-safe (RFC 7515, section 4.1.6)."""
        return tuple(base64.b64encode(certificate).decode("ascii") for certificate in self.chain)

    @property
    def certificate_pem(self) -> str:
        """The signing certificate in PEM, without the rest of the chain."""
        return ssl.DER_cert_to_PEM_cert(self.chain[0])

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SigningKey is not pickled")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All signing keys by their state, and the token CA's certificate.

    `active` signs. `next` will sign and is already published, so that verifiers know it before its first token.
    `retired` no longer signs, but its last tokens are still valid.
    """

    ca_certificate_pem: str = field(repr=False)
    ca_not_after: datetime
    active: SigningKey
    next: tuple[SigningKey, ...] = ()
    retired: tuple[SigningKey, ...] = ()

    def published(self) -> tuple[SigningKey, ...]:
        """Every key that verifiers must know, the active one first."""
        return (self.active, *self.next, *self.retired)

    def state_of(self, key_id: str) -> str | None:
        """`next`, `active` or `retired`; None if the ring has no such key."""
        states = {key.id: "next" for key in self.next} | {key.id: "retired" for key in self.retired}
        return "active" if key_id == self.active.id else states.get(key_id)
