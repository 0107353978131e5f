"""JOSE headers: how a token identifies its key, for each kind of registry, and which keys a kind cannot verify."""

from __future__ import annotations

import json
from typing import Any

from tokenserver.documents.base64url import encode_base64url
from tokenserver.keys.ring import Algorithm, SigningKey
from tokenserver.tokens.claims import Compat


def token_header(key: SigningKey, compat: Compat) -> dict[str, Any]:
    """The JOSE header (RFC 7515, section 4), built from constants and the key, never from a request.

    `universal` identifies the key by its certificate chain alone: Distribution 2 and 3 both look at `x5c` first, and
    Distribution 3 then looks at nothing else.
    """
    header: dict[str, Any] = {"typ": "JWT", "alg": key.algorithm.value}
    match compat:
        case Compat.UNIVERSAL:
            return {**header, "x5c": list(key.x5c)}
        case Compat.DISTRIBUTION2:
            return {**header, "kid": key.libtrust_id}
        case Compat.DISTRIBUTION3 | Compat.JWKS | Compat.ZOT:  # pragma: no branch - the type checker proves it
            return {**header, "kid": key.thumbprint}


def encoded_header(key: SigningKey, compat: Compat) -> str:
    """The header as the first part of a token."""
    text = json.dumps(token_header(key, compat), separators=(",", ":"))
    return encode_base64url(text.encode("ascii"))


def compat_problem(algorithm: Algorithm, compat: Compat) -> str | None:
    """Why no registry of this kind can verify tokens of such a key, or None if they can."""
    if algorithm is Algorithm.EdDSA and compat is Compat.DISTRIBUTION2:
        return "Distribution 2 cannot verify EdDSA; sign with ES256 or RS256, or set compat to what the registry runs"
    return None


def compat_warning(algorithm: Algorithm, compat: Compat) -> str | None:
    """Which registries of this kind cannot verify tokens of such a key although others can, or None."""
    if algorithm is Algorithm.EdDSA and compat is Compat.UNIVERSAL:
        return "with EdDSA keys, compat: universal works with Distribution 3 alone; Distribution 2 needs ES256 or RS256"
    if algorithm is not Algorithm.RS256 and compat is Compat.ZOT:
        return f"zot verifies {algorithm} since 2.1.3; an older one needs RS256"
    return None
