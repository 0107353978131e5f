"""JWTs of workloads as an issuer signs them, the issuer's keys, and the same with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rsa_keys import known_rsa

from tokenserver.documents.base64url import encode_base64url
from tokenserver.keys.signatures import signer

NOW = 1_800_000_000
ISSUER = "https://issuer.example.com"
AUDIENCE = "https://auth.example.com"

CLAIMS: Mapping[str, Any] = {
    "iss": ISSUER,
    "sub": "repo:octo-org/web:ref:refs/heads/main",
    "aud": AUDIENCE,
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 290,
    "repository_id": "74",
    "ref_protected": True,
}
"""What an issuer says of a workload; a JWT with just this is accepted at `NOW`."""

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

CURVES: Mapping[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def private_key(algorithm: str, number: int = 0) -> PrivateKey:
    """A key for this algorithm, the same for each number; of RSA there is one alone."""
    assert number == 0 or algorithm[:2] in ("ES", "Ed")
    return _made("EdDSA" if algorithm == "Ed25519" else algorithm, number)


@cache
def _made(algorithm: str, _: int) -> PrivateKey:
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else known_rsa(2048)


def jwk(key: PrivateKey, key_id: str | None = None, **more: Any) -> dict[str, Any]:
    """The public key as a JWK, with these members more."""
    public = key.public_key()
    named = {} if key_id is None else {"kid": key_id}
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e), **named, **more}
    if isinstance(public, ec.EllipticCurvePublicKey):
        point, width = public.public_numbers(), (public.key_size + 7) // 8
        curve = f"P-{public.key_size}"
        return {"kty": "EC", "crv": curve, "x": _number(point.x, width), "y": _number(point.y, width), **named, **more}
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(raw), **named, **more}


def key_set(*keys: Any) -> bytes:
    """A JWKS document."""
    return json.dumps({"keys": keys}).encode()


def jwt(
    claims: Mapping[str, Any] = CLAIMS,
    *,
    algorithm: str = "ES256",
    key: PrivateKey | None = None,
    key_id: str | None = "k",
    header: Mapping[str, Any] | None = None,
) -> str:
    """A signed JWT; `header` has members more, or other ones."""
    named = {} if key_id is None else {"kid": key_id}
    head = {"alg": algorithm, "typ": "JWT", **named, **(header or {})}
    return signed(json.dumps(head), json.dumps(claims), algorithm=algorithm, key=key)


def signed(header: str, payload: str, *, algorithm: str = "ES256", key: PrivateKey | None = None) -> str:
    """A JWT with exactly this header and payload."""
    content = f"{encode_base64url(header.encode())}.{encode_base64url(payload.encode())}"
    name = "EdDSA" if algorithm == "Ed25519" else algorithm
    signature = signer(key or private_key(algorithm), name)(content.encode())
    return f"{content}.{encode_base64url(signature)}"


def without(name: str) -> dict[str, Any]:
    """The claims without one of them."""
    return {key: value for key, value in CLAIMS.items() if key != name}


def _number(number: int, width: int | None = None) -> str:
    return encode_base64url(number.to_bytes(width or (number.bit_length() + 7) // 8, "big"))
