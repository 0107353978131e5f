"""Traced requests: the span of each HTTP request (OpenTelemetry's semantic conventions for HTTP servers).

A span has the route and never the path, query or headers as they were sent: any of them may have a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect

from tokenserver.errors import TokenserverError
from tokenserver.runtime.tracing.spans import ActiveTrace, Attribute, TraceStep
from tokenserver.runtime.tracing.tracer import Tracer
from tokenserver.web.bodies import Place
from tokenserver.web.environ import add_decisive
from tokenserver.web.routes import TokenFront
from tokenserver.web.token_endpoint import TokenAnswer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
"""Methods by their names; all others are `_OTHER`, so that no client can invent values."""

HEADERS = ("traceparent", "tracestate")


def traced_front(tracer: Tracer, routes: Map) -> type[TokenFront]:
    """The front whose requests `tracer` traces. `routes` are those of the paths that are no token paths."""
    add_decisive(HEADERS)
    find = routes.bind("localhost").match

    def route_of(method: str, path: str) -> str | None:
        try:
            rule, _ = find(path, method, return_rule=True)
        except (HTTPException, RequestRedirect):
            return None
        return str(rule.rule)

    class TracedFront(_TracedFront):
        """The front of one application."""

        _tracer = tracer
        _route_of = staticmethod(route_of)

    return TracedFront


class _TracedFront(TokenFront):
    _tracer: Tracer
    _route_of: Callable[[str, str], str | None]

    def token(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """See `TokenFront.token`."""
        trace = self._begin(environ)
        if trace is None:
            return super().token(environ)
        with self._answering(trace, environ) as span:
            return _finished(span, super().token(environ))

    def admit_body(self, environ: Mapping[str, Any]) -> Place | TokenAnswer:
        """See `TokenFront.admit_body`. A request that is answered here has a span without its work: there was none."""
        admitted = super().admit_body(environ)
        trace = self._begin(environ) if isinstance(admitted, TokenAnswer) else None
        if trace is not None and isinstance(admitted, TokenAnswer):
            with self._answering(trace, environ) as span:
                _finished(span, admitted)
        return admitted

    def give_up(self, environ: Mapping[str, Any], error: TokenserverError) -> TokenAnswer:
        """See `TokenFront.give_up`."""
        trace = self._begin(environ)
        if trace is None:
            return super().give_up(environ, error)
        with self._answering(trace, environ) as span:
            return _finished(span, super().give_up(environ, error))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """See `TokenFront.__call__`."""
        trace = self._begin(environ)
        if trace is None:
            return super().__call__(environ, start_response)
        with self._answering(trace, environ) as span:

            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[..., object]:
                _finish(span, int(status[:3]), headers)
                return start_response(status, headers, *more)

            return super().__call__(environ, start)

    def _begin(self, environ: Mapping[str, Any]) -> ActiveTrace | None:
        return self._tracer.begin(environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE"))

    def _answering(self, trace: ActiveTrace, environ: Mapping[str, Any]) -> AbstractContextManager[TraceStep]:
        sent = str(environ["REQUEST_METHOD"])
        method = sent if sent in METHODS else "_OTHER"
        scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
        attributes: dict[str, Attribute] = {"http.request.method": method, "url.scheme": scheme}
        return self._tracer.answering(trace, lambda: self._named(method, environ, attributes), attributes)

    def _named(self, method: str, environ: Mapping[str, Any], attributes: dict[str, Attribute]) -> str:
        """The name of the span; looking up the route of a page takes time, so only traced requests do."""
        path = environ["PATH_INFO"]
        route = path if self.owns(path) else self._route_of(method, self._below_root({"PATH_INFO": path})["PATH_INFO"])
        if route is None:
            return method
        attributes["http.route"] = route
        return f"{method} {route}"


def _finished(span: TraceStep, answer: TokenAnswer) -> TokenAnswer:
    _finish(span, answer.status, answer.headers)
    return answer


def _finish(span: TraceStep, status: int, headers: Iterable[tuple[str, str]]) -> None:
    span.note(http__response__status_code=status)
    request_id = next((value for name, value in headers if name == "X-Request-Id"), None)
    if request_id is not None:
        span.note(tokenserver__request_id=request_id)
    if status >= 500:
        span.fail(str(status))
