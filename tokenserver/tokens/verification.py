"""Verifies this server's own tokens, and no others.

A header is not interpreted: it must be, byte for byte, one that this server writes for one of its keys. So the key and
the algorithm come from this server's own table and never from the token, and whatever else a header may contain
(`none`, `HS256`, `jwk`, `jku`, `x5u`, another `x5c`, `crit`) is never evaluated.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from tokenserver.documents.base64url import decode_canonical_base64url, encode_base64url
from tokenserver.errors import TokenserverError
from tokenserver.keys.ring import KeyRing, SigningKey
from tokenserver.keys.signatures import SignatureLength, SignatureMismatch, verify_signature
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.jose_header import encoded_header

_read_json = json.JSONDecoder().raw_decode

MAX_TOKEN = 1280 * 1024
"""No token of this server is larger, since `limits` goes up to 10,000 resources in 256 KiB of scope text."""


class InvalidToken(TokenserverError):
    """Not a token of this server, or not valid for this registry at this time. The message repeats nothing of it."""


def verify_own(text: str, ring: KeyRing, registry: Registry, *, now: int) -> dict[str, Any]:
    """The claims of a token that this server signed for `registry` and that is valid at `now`.

    All published keys are accepted, with the header of any `compat`, since that setting may have changed.

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
    """The claims of a token with a valid signature; `keys` are by encoded header.

    Raises:
        InvalidToken: malformed, an unknown header, or an invalid signature.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise InvalidToken("is not a signed token")
    key = keys.get(parts[0])
    if key is None:
        raise InvalidToken("has no header that this server writes")
    payload, signature = _decoded(parts[1]), _decoded(parts[2])
    try:
        verify_signature(key.public_key, key.algorithm, signature, f"{parts[0]}.{parts[1]}".encode("ascii"))
    except SignatureLength:
        raise InvalidToken("has a signature of the wrong length") from None
    except SignatureMismatch:
        raise InvalidToken("has a wrong signature") from None
    return _claims(payload)


def open_repeated(text: str, header: str, sign: Callable[[bytes], bytes]) -> dict[str, Any]:
    """The claims of a token that is, to the last character, what signing its header and claims once more makes.

    Only for a token that this process has just signed, with the same key as `sign`; see
    docs/decisions/0011-signatures-are-made-twice.md.

    Raises:
        InvalidToken: it has another header or another signature, or is malformed.
        Exception: whatever `sign` raises.
    """
    content, _, signature = text.rpartition(".")
    if not hmac.compare_digest(encode_base64url(sign(content.encode("ascii"))), signature):
        raise InvalidToken("has a wrong signature")
    found, _, payload = content.partition(".")
    if found != header:
        raise InvalidToken("has no header that this server writes")
    return _claims(_decoded(payload))


def _decoded(part: str) -> bytes:
    try:
        return decode_canonical_base64url(part)
    except ValueError:
        raise InvalidToken("is not canonical base64url") from None


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        text = payload.decode("utf-8")
        claims, end = _read_json(text)
    except (ValueError, RecursionError):
        raise InvalidToken("has no claims") from None
    if not isinstance(claims, dict) or end != len(text):
        raise InvalidToken("has no claims")
    return claims
