"""JSON Web Keys of public keys, and the two key ids that registries compute. Public parts only."""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokenserver.documents.base64url import encode_base64url
from tokenserver.keys.ring import KeyRing, PublicKey, SigningKey

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384"}


def thumbprint(key: PublicKey) -> str:
    """The SHA-256 thumbprint of RFC 7638 (for Ed25519: RFC 8037, section 2); the `kid` of Distribution 3."""
    canonical = json.dumps(_members(key), sort_keys=True, separators=(",", ":"))
    return encode_base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def libtrust_id(key: PublicKey) -> str:
    """The fingerprint of libtrust, the `kid` of Distribution 2.

    The first 240 bits of the SHA-256 of the whole SubjectPublicKeyInfo, in base32, twelve groups of four.
    """
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(spki).digest()[:30]).decode("ascii")
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def public_jwk(key: SigningKey) -> dict[str, str]:
    """The public key as a JWK (RFC 7517, section 4), with `kid` (the thumbprint), `use` and `alg`."""
    return {**_members(key.public_key), "kid": key.thumbprint, "use": "sig", "alg": key.algorithm.value}


def jwk_set(*rings: KeyRing) -> str:
    """The JSON of all published keys of `rings` (RFC 7517, section 5): what `/.well-known/jwks.json` serves."""
    keys = {key.thumbprint: public_jwk(key) for ring in rings for key in ring.published()}
    return json.dumps({"keys": [*keys.values()]}) + "\n"


def _members(key: PublicKey) -> dict[str, str]:
    """The required members of the key, which make its thumbprint: listed one by one, so that no private one slips in.

    Coordinates have the width of the field, with leading zeros (RFC 7518, section 6.2.1.2).
    """
    if isinstance(key, ec.EllipticCurvePublicKey):
        width = (key.curve.key_size + 7) // 8
        point = key.public_numbers()
        coordinates = {"x": point.x, "y": point.y}
        encoded = {name: encode_base64url(value.to_bytes(width, "big")) for name, value in coordinates.items()}
        return {"kty": "EC", "crv": _CURVES[key.curve.name], **encoded}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _encode_integer(numbers.n), "e": _encode_integer(numbers.e)}
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _encode_integer(number: int) -> str:
    return encode_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
