"""Guards pages for people and programs that manage: how many are answered concurrently, and how large bodies may be.

They are beside the token endpoint and must not slow it down, so each worker answers only a few of them at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from flask import Response, request

from tokenserver.errors import Overloaded
from tokenserver.exchange.admission import MAX_PAGES, PAGE_QUEUE
from tokenserver.runtime.bulkhead import Bulkhead
from tokenserver.web.parameters import MIN_BODY, BodyLimit

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ASKED_PATH = "tokenserver.asked_path"
"""In the environ of a request below the server's prefix: the path as asked."""

BODY_ERROR = "tokenserver.body_error"
"""In the environ of a request whose body was not read: the error that says why."""

GUARD = "tokenserver.guard"
"""In the environ of a guarded request: the bulkhead whose slot it holds."""

LARGE_BODIES = {"/admin/policies": 2 * 1024 * 1024}
"""Paths whose bodies may be larger than `MIN_BODY`, with their limits."""

RETRY_AFTER = 2
_WAIT = 2.0
_BUSY = (
    "text/html; charset=utf-8",
    b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>tokenserver</title>
<p>The server has too much to do. Wait a few seconds, then load the page again.</p>
</html>
""",
)


_BUSY_API = (
    "application/problem+json",
    b"""{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable",\
"detail":"the service cannot answer now, try again later"}
""",
)


class PagesForPeople(NamedTuple):
    """What is no page of a blueprint: the page at `/`, by whether the server is ready, and that about an error."""

    home: Callable[[bool], Response]
    failed: Callable[[Exception], Response]


class GuardedPages:
    """The application `app` for paths that begin with one of the segments `roots`, at the root or below `prefix`."""

    def __init__(
        self,
        app: WSGIApplication,
        roots: frozenset[str],
        *,
        prefix: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._roots = roots
        self._below = f"{prefix}/" if prefix else ""
        self.bulkhead = Bulkhead(
            "pages", workers=MAX_PAGES, queue=PAGE_QUEUE, wait=_WAIT, monotonic=monotonic, retry_after=RETRY_AFTER
        )
        """Each request holds a slot of it, until it waits for something else."""

    def at_root(self, path: str) -> str | None:
        """The path of the page that this path means, at the root; None if it is no page of these."""
        if _first(path) in self._roots:
            return path
        if self._below and path.startswith(self._below):
            rest = path[len(self._below) - 1 :]
            return rest if _first(rest) in self._roots else None
        return None

    def body_limit(self, page: str) -> BodyLimit:
        """The limit of the bodies of this page."""
        return page_limit(page)

    def __call__(self, page: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request (PEP 3333) for a page at the root."""
        asked = environ["PATH_INFO"]
        try:
            with self.bulkhead:
                guarded = {**environ, "PATH_INFO": page, ASKED_PATH: asked, GUARD: self.bulkhead}
                return self._app(guarded, start_response)
        except Overloaded as error:
            content_type, body = _BUSY_API if _first(page) == "api" else _BUSY
            length, after = ("Content-Length", str(len(body))), ("Retry-After", str(error.retry_after))
            common = [("Content-Type", content_type), ("Cache-Control", "no-store"), length, after]
            start_response("503 Service Unavailable", common)
            return [body]


def page_limit(page: str) -> BodyLimit:
    """The limit of the bodies of the page at this path."""
    most = LARGE_BODIES.get(page, MIN_BODY)
    return BodyLimit(most, f"the body is larger than {most} bytes")


def is_browser() -> bool:
    """Whether the client of this request names HTML; one that accepts anything, as curl does, gets JSON."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _first(path: str) -> str:
    return path[1:].partition("/")[0] if path.startswith("/") else ""
