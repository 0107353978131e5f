"""The claims of a token as values: what `encoded_claims` writes, read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenserver.tokens.claims import encoded_claims


def build_claims(*arguments: Any, **named: Any) -> dict[str, Any]:
    """The claims of `encoded_claims` with these arguments."""
    claims: dict[str, Any] = json.loads(encoded_claims(*arguments, **named))
    return claims


def changed_by(mutate: Callable[[dict[str, Any]], None]) -> Callable[..., str]:
    """Like `encoded_claims`, but with a change of the claims before they are encoded."""

    def encoded(*arguments: Any, **named: Any) -> str:
        claims = build_claims(*arguments, **named)
        mutate(claims)
        return json.dumps(claims)

    return encoded
