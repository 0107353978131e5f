"""Cross-origin requests (CORS): which web pages may ask for tokens, and the headers that tell a browser so.

The protocol is "CORS protocol" in the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol). No framework,
no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tokenserver.web.token_endpoint import TokenAnswer

MAX_AGE = 600
"""Seconds for which a browser remembers the answer to a preflight request; a change takes as long to reach all."""

VARY = ("Vary", "Authorization, Origin")
"""In every answer of the token endpoint if any origin is allowed, so that no cache gives one page another's answer."""

_READABLE = ("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, X-Request-Id")

_PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "authorization, content-type"),
    ("Access-Control-Max-Age", str(MAX_AGE)),
)


class AllowedOrigins:
    """The origins whose pages may ask for tokens, spelled as browsers send them (RFC 6454, section 6.2)."""

    def __init__(self, origins: Collection[str]) -> None:
        credentials = ("Access-Control-Allow-Credentials", "true")
        self._headers = {
            origin: (("Access-Control-Allow-Origin", origin), credentials, _READABLE) for origin in origins
        }

    def admit(self, environ: Mapping[str, Any], answer: TokenAnswer) -> TokenAnswer:
        """The answer, readable by the page if its origin is allowed; whether it is a token or a failure."""
        answer.headers.extend(self._headers.get(environ.get("HTTP_ORIGIN", ""), ()))
        return answer

    def preflight(self, environ: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
        """What the answer to a preflight request has besides the headers of `admit`; None if the request is none, or
        its origin is not allowed.
        """
        is_allowed = environ.get("HTTP_ORIGIN", "") in self._headers
        return _PREFLIGHT if is_allowed and environ["REQUEST_METHOD"] == "OPTIONS" else None
