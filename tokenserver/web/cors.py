"""Cross-origin requests (CORS): which web pages may ask for tokens, and the headers that tell a browser so.

The protocol is "CORS protocol" in the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol). No framework,
no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tokenserver.web.token_endpoint import TokenAnswer

METHODS = "GET, POST"

MAX_AGE = 600
"""Seconds for which a browser remembers the answer to a preflight request; a change takes as long to reach all."""

VARY = ("Vary", "Authorization, Origin")
"""In every answer of the token endpoint if any origin is allowed, so that no cache gives one page another's answer."""

_READABLE = "WWW-Authenticate, Retry-After, X-Request-Id"


class AllowedOrigins:
    """The origins whose pages may ask for tokens, spelled as browsers send them (RFC 6454, section 6.2)."""

    def __init__(self, origins: Collection[str]) -> None:
        self._headers = {
            origin: (
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Credentials", "true"),
            )
            for origin in origins
        }

    def admit(self, environ: Mapping[str, Any], answer: TokenAnswer) -> TokenAnswer:
        """The answer, readable by the page if its origin is allowed; whether it is a token or a failure."""
        allowed = self._headers.get(environ.get("HTTP_ORIGIN", ""))
        if allowed is not None:
            answer.headers.extend((*allowed, ("Access-Control-Expose-Headers", _READABLE)))
        return answer

    def preflight(self, environ: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
        """The headers of the answer to a preflight request; None if it is none, or its origin is not allowed."""
        allowed = self._headers.get(environ.get("HTTP_ORIGIN", ""))
        if allowed is None or environ["REQUEST_METHOD"] != "OPTIONS":
            return None
        return (
            *allowed,
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", "authorization, content-type"),
            ("Access-Control-Max-Age", str(MAX_AGE)),
        )
