"""HTTP responses of a registry or token server, and failures to get one. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tokenserver.runtime.http.response import FailureReason, FetchFailure, HttpResponse

__all__ = ["FailureReason", "FetchFailure", "HttpAnswer", "Outcome", "ready_parts"]


@dataclass(frozen=True, slots=True)
class HttpAnswer(HttpResponse):
    """A response, with what it tells about its sender."""

    def bearer(self) -> str | None:
        """The Bearer challenge (RFC 6750, section 3), or None."""
        challenges = self.headers.get("www-authenticate", ())
        return next((one for one in challenges if one[:6].lower() == "bearer"), None)

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, which neither a registry nor a token server answers with."""
        kind = (self.header("content-type") or "").lower()
        return "html" in kind or self.body.lstrip()[:1] == b"<"

    @property
    def is_from_registry(self) -> bool:
        """Whether a registry made it: by its header, or by a body as its API has them, an object in JSON.

        Every answer of Distribution has the header; zot leaves it out where it reports an error.
        """
        if "docker-distribution-api-version" in self.headers:
            return True
        try:
            return isinstance(json.loads(self.body), dict)
        except (ValueError, RecursionError):
            return False

    @property
    def is_foreign(self) -> bool:
        """Whether something else than a registry or a token server made it: a page, or what a named server says."""
        return not self.is_from_registry and (self.is_page or "server" in self.headers)

    @property
    def maker(self) -> str:
        """Who says to have made it: the header `Server`, or `something`."""
        return (self.header("server") or "something").partition(" ")[0]

    @property
    def is_redirect(self) -> bool:
        """Whether it redirects the client."""
        return self.status in (301, 302, 303, 307, 308)


Outcome = HttpAnswer | FetchFailure


def ready_parts(body: bytes) -> dict[str, str]:
    """What the body of a `/readyz` says of each part: `ok`, or its problem. Empty if it is no such body."""
    try:
        parts = json.loads(body)["parts"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(problem) for name, problem in parts.items()} if isinstance(parts, dict) else {}
