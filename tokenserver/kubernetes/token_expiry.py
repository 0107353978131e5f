"""The expiry of a service-account token, which is a JWT (RFC 7519, section 4.1.4). Nothing is verified."""

from __future__ import annotations

from tokenserver.documents.base64url import decode_canonical_base64url
from tokenserver.kubernetes.json_members import read_members


def token_expiry(token: str) -> int | None:
    """The moment in `exp`, in seconds since 1970; None if the token, which is ASCII, has no `exp` that can be read."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = read_members(decode_canonical_base64url(parts[1]))
    except ValueError:
        return None
    moments = claims.named("exp")
    return moments[0] if len(moments) == 1 and type(moments[0]) is int else None
