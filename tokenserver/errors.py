"""The one error tree. It knows no HTTP: `web/problems.py` holds the table that answers with a status.

Three families: `LoadError` (a file or a setting is wrong, found at load), `RequestError` (the client can mend
it), and `ServiceError` (the client cannot). A message never holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class TokenserverError(Exception):
    """The root of every error that this package raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in one file, with its place and, where it is known, what would be right.

    `file` is the path as the operator wrote it, `line` counts from 1 (0: the file as a whole), `path` is the
    place inside the document (`registries[0].compat`), empty where there is none.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class LoadError(TokenserverError):
    """Files or settings were refused. `faults` holds every fault found, never only the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class RequestError(TokenserverError):
    """A request that the client can mend; its text is safe to send back."""


class InvalidRequest(RequestError):
    """A parameter is missing, unknown, repeated or where it must not be."""


class TooManyScopes(InvalidRequest):
    """More scopes, or more scope text, than one request may bring."""


class UnsupportedGrantType(RequestError):
    """A grant type that this server does not offer (RFC 6749, section 5.2)."""


class InvalidCredentials(RequestError):
    """Credentials were brought and are not right.

    `reason` is for the audit event alone. The client gets one text for every reason, so that nobody learns
    which users exist.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("wrong user name or password")


class AuthenticationRequired(RequestError):
    """No credentials were brought, and anonymous access is off."""

    def __init__(self) -> None:
        super().__init__("authentication required")


class PlainHttp(RequestError):
    """A request came over a network without TLS, where that is not wanted; nothing in it was looked at.

    `reason` is for the audit event: what the operator can do about it.
    """

    reason = "plain http from another machine; use TLS, name the proxy in trusted_proxies, or require_https: false"

    def __init__(self) -> None:
        super().__init__("plain http is refused here, use https")


class Throttled(RequestError):
    """Too many attempts; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__("too many attempts, try again later")


class ServiceError(TokenserverError):
    """The server cannot answer now. The text is for the log; clients get a generic one."""


class BackendUnavailable(ServiceError):
    """A user source cannot tell whether the credentials are right. `retry_after` is in seconds.

    `is_even`: all has been done that any failed login does, so that the time of the answer tells nothing.
    """

    is_even = False

    def __init__(self, backend: str, reason: str, retry_after: int = 5) -> None:
        self.backend = backend
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(f"{backend}: {reason}")


class Overloaded(BackendUnavailable):
    """There is no room for one more login now; it says nothing about the backend. Shed at once, so that others work."""


class SigningFailed(ServiceError):
    """A token could not be signed, or its signature does not verify. No token leaves."""


class TokenMismatch(ServiceError):
    """What was signed is not what was decided: a bug. No token leaves."""


class AuditUnavailable(ServiceError):
    """The audit event of an exchange could not be written; no token leaves."""
