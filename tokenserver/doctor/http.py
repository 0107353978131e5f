"""What came back over the network, or why nothing did; a registry's or a server's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Trouble(StrEnum):
    """Why there is no answer."""

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
    """No answer came. `detail` is the reason in the words of whoever refused."""

    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer: names of headers are in lower case, `ahead` is how far its clock is before ours, in seconds."""

    status: int
    headers: Mapping[str, tuple[str, ...]] = field(repr=False)
    body: bytes = field(repr=False)
    ahead: float | None

    def header(self, name: str) -> str | None:
        """The first header of that name, or None."""
        return next(iter(self.headers.get(name, ())), None)

    def bearer(self) -> str | None:
        """The challenge for a token (RFC 6750, section 3), or None."""
        challenges = self.headers.get("www-authenticate", ())
        return next((one for one in challenges if one[:6].lower() == "bearer"), None)

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the client elsewhere."""
        return self.status in (301, 302, 303, 307, 308)


Outcome = HttpAnswer | FetchFailure
