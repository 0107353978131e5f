"""Signature algorithms of workload JWTs (RFC 7518, section 3.1; RFC 9864), and the type of key that each needs. Pure.

Only asymmetric ones: with `HS256`, the public key of an issuer would be a secret that everybody knows, and `none` is no
signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class KeyType(StrEnum):
    """A type of public key, with its curve if it has one, as JWKs name it."""

    RSA = "RSA"
    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"
    ED25519 = "Ed25519"


ALGORITHMS: Mapping[str, KeyType] = MappingProxyType(
    {
        "RS256": KeyType.RSA,
        "RS384": KeyType.RSA,
        "RS512": KeyType.RSA,
        "PS256": KeyType.RSA,
        "PS384": KeyType.RSA,
        "PS512": KeyType.RSA,
        "ES256": KeyType.P256,
        "ES384": KeyType.P384,
        "ES512": KeyType.P521,
        "EdDSA": KeyType.ED25519,
        "Ed25519": KeyType.ED25519,
    }
)
"""The value of `alg` -> the type of key that it needs. A key of another type never verifies it."""


def is_same_algorithm(one: str, other: str) -> bool:
    """Whether two values of `alg` mean the same: `Ed25519` is the new name of what `EdDSA` is with such a key."""
    return one == other or {one, other} == {"EdDSA", "Ed25519"}
