"""HTTP responses, and failures to get one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FailureReason(StrEnum):
    """Why there is no response."""

    NAME = "name"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    CERTIFICATE = "certificate"
    PLAIN = "plain"
    TLS = "tls"
    CLOSED = "closed"
    EXPOSED = "exposed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """No response. `detail` is the underlying error message."""

    reason: FailureReason
    detail: str


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response. Header names are in lower case; `skew` is how far its clock is ahead of ours, in seconds.

    `is_cut`: the body was longer than the limit of the request, and `body` is only its beginning.
    """

    status: int
    headers: Mapping[str, tuple[str, ...]] = field(repr=False)
    body: bytes = field(repr=False)
    skew: float | None
    is_cut: bool = False

    def header(self, name: str) -> str | None:
        """The first value of that header, or None."""
        return next(iter(self.headers.get(name, ())), None)
