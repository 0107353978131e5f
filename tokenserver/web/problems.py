"""The only table from errors to error responses. Clients learn nothing but what they can fix.

The body has a part for each kind of client: `errors` (OCI distribution, "Error Codes") for crane, oras and new engines,
`details` for old engines and containers/image, and on POST `error` and `error_description` (RFC 6749, section 5.2).
Clients show unknown codes as "unknown", so only registered ones are used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    PlainHttp,
    RequestError,
    ServiceError,
    Throttled,
    TokenMismatch,
    UnsupportedGrantType,
)
from tokenserver.exchange.stored.device_refusals import DeviceRefusal
from tokenserver.web.parameters import BodyTooSlow, RequestTooLarge, UnsupportedMediaType

RETRY_AFTER = 5
"""The default of `Retry-After`, in seconds."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error response."""

    status: int
    code: str
    oauth: str
    message: str
    headers: tuple[tuple[str, str], ...] = field(default=())

    def body(self, *, oauth: bool) -> bytes:
        """The JSON body; with the OAuth members on POST."""
        content: dict[str, object] = {
            "errors": [{"code": self.code, "message": self.message, "detail": None}],
            "details": self.message,
        }
        if oauth:
            content |= {"error": self.oauth, "error_description": self.message}
        return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def problem_for(error: Exception, *, challenge: str, is_exchange: bool = False) -> Problem:
    """The response to `error`. `challenge` is the value of `WWW-Authenticate` for a 401.

    `is_exchange`: of a token exchange, where a token that is no good is an invalid request (RFC 8693, section 2.2.2).
    """
    authenticate = (("WWW-Authenticate", challenge),)
    match error:
        case InvalidCredentials():
            status, oauth = (400, "invalid_request") if is_exchange else (401, "invalid_grant")
            return Problem(status, "UNAUTHORIZED", oauth, str(error), () if is_exchange else authenticate)
        case AuthenticationRequired():
            return Problem(401, "UNAUTHORIZED", "invalid_client", str(error), authenticate)
        case PlainHttp():
            return Problem(403, "DENIED", "invalid_request", str(error))
        case Throttled():
            after = (("Retry-After", str(error.retry_after)),)
            return Problem(429, "TOOMANYREQUESTS", "temporarily_unavailable", str(error), after)
        case UnsupportedGrantType():
            return Problem(400, "UNSUPPORTED", "unsupported_grant_type", str(error))
        case BodyTooSlow():
            return Problem(408, "UNSUPPORTED", "invalid_request", str(error))
        case RequestTooLarge():
            return Problem(413, "UNSUPPORTED", "invalid_request", str(error))
        case UnsupportedMediaType():
            return Problem(415, "UNSUPPORTED", "invalid_request", str(error))
        case RequestError():
            oauth = error.code if isinstance(error, DeviceRefusal) else "invalid_request"
            return Problem(400, "UNSUPPORTED", oauth, str(error))
        case TokenMismatch():
            return Problem(500, "UNAVAILABLE", "server_error", "internal error")
        case ServiceError():
            wait = error.retry_after if isinstance(error, BackendUnavailable) else RETRY_AFTER
            text = "the service cannot answer now, try again later"
            return Problem(503, "UNAVAILABLE", "temporarily_unavailable", text, (("Retry-After", str(wait)),))
        case _:
            return Problem(500, "UNAVAILABLE", "server_error", "internal error")
