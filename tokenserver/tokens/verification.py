"""Opens this server's own tokens, and no others.

A header is not interpreted: it has to be, byte for byte, one that this server writes for one of its keys. So
the key and the algorithm come from this server's own table and never from the token, and nothing that could
stand in a header (`none`, `HS256`, `jwk`, `jku`, `x5u`, another `x5c`, `crit`) is ever looked at.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from tokenserver.errors import TokenserverError
from tokenserver.keys.ring import KeyRing, PublicKey, SigningKey
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.jose_header import encoded_header

MAX_TOKEN = 32 * 1024
"""No token of this server is larger: scopes come in at most 16 KiB of text."""

_ECDSA = {"secp256r1": (32, ec.ECDSA(SHA256())), "secp384r1": (48, ec.ECDSA(SHA384()))}
"""For each curve how many bytes one half of a signature has, and how it is made."""

_PKCS1 = padding.PKCS1v15()
_SHA256 = SHA256()


class InvalidToken(TokenserverError):
    """Not a token of this server, or not one that counts here and now. The text repeats nothing of it."""


def verify_own(text: str, ring: KeyRing, registry: Registry, *, now: int) -> dict[str, Any]:
    """The claims of a token that this server signed for `registry` and that is valid at `now`.

    Tokens of all published keys count, in the form of any `compat`, since that setting may have changed.

    Raises:
        InvalidToken: anything else.
    """
    if len(text) > MAX_TOKEN:
        raise InvalidToken("is too large")
    keys = {encoded_header(key, compat): key for key in ring.published() for compat in Compat}
    claims = open_token(text, keys)
    if claims.get("iss") != registry.issuer or claims.get("aud") != registry.audience:
        raise InvalidToken("is for another registry")
    since, until = claims.get("nbf"), claims.get("exp")
    if type(since) is not int or type(until) is not int or not since <= now < until:
        raise InvalidToken("is not valid at this time")
    return claims


def open_token(text: str, keys: Mapping[str, SigningKey]) -> dict[str, Any]:
    """The payload of a token whose signature is right; `keys` has them by their encoded header.

    Raises:
        InvalidToken: another shape, another header, a wrong signature.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise InvalidToken("is not a signed token")
    key = keys.get(parts[0])
    if key is None:
        raise InvalidToken("has no header that this server writes")
    payload, signature = _decoded(parts[1]), _decoded(parts[2])
    _check_signature(key.public_key, signature, f"{parts[0]}.{parts[1]}".encode("ascii"))
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise InvalidToken("does not hold claims")
    return claims


def _decoded(part: str) -> bytes:
    """The bytes of a part, of which there is one spelling only (RFC 7515, section 2: no padding)."""
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        content = b""
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii") != part:
        raise InvalidToken("is not encoded as a token is")
    return content


def _check_signature(key: PublicKey, signature: bytes, content: bytes) -> None:
    """Check with the algorithm that the type of the key fixes (RFC 7518, section 3; RFC 8037, section 3.1)."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            width, algorithm = _ECDSA[key.curve.name]
            if len(signature) != 2 * width:
                raise InvalidToken("has a signature of the wrong length")
            r, s = (int.from_bytes(half, "big") for half in (signature[:width], signature[width:]))
            key.verify(encode_dss_signature(r, s), content, algorithm)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, _PKCS1, _SHA256)
        else:
            key.verify(signature, content)
    except InvalidSignature:
        raise InvalidToken("has a wrong signature") from None
