"""The WSGI application: the token endpoint, in front of Flask for everything else.

The token endpoint needs nothing that Flask offers and gets nearly all of the load, so it comes before Flask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from tokenserver.config.server import NOTIFICATIONS_PATH
from tokenserver.errors import TokenserverError
from tokenserver.web.bodies import Place
from tokenserver.web.cors import AllowedOrigins
from tokenserver.web.notifications.endpoint import BODY_LIMIT, NotificationEndpoint
from tokenserver.web.oauth.device import DEVICE_PATH
from tokenserver.web.oauth.revocation import REVOKE_PATH
from tokenserver.web.pages.guard import ASKED_PATH, GuardedPages, PagesForPeople, is_browser
from tokenserver.web.parameters import MIN_BODY, BodyLimit, announced_length, form_limit
from tokenserver.web.problems import Problem
from tokenserver.web.status.endpoints import STATUS_PATHS, Status, add_keys, add_status
from tokenserver.web.token_endpoint import HSTS, JSON_HEADERS, TokenAnswer, TokenEndpoint

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tokenserver.runtime.tracing.tracer import Tracer

TOKEN_PATHS = frozenset({"/token", "/auth/token", "/auth"})
"""The endpoint; the registries' autoredirect path; the path in the realm of existing installations."""

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE", 500: "UNAVAILABLE"}


class TokenFront:
    """WSGI middleware: answers the token paths and passes everything else on. Methods but GET and POST get 405.

    `prefix` is the path of the server's public URL. Every path is answered at the root, for proxies that strip the
    prefix, and below the prefix, for those that keep it. Paths are compared as a whole: one with a further slash, or
    with the prefix twice, is none of them. `cors` has the origins whose pages may ask for tokens, if there are any, and
    `guarded` the pages for people, if there are any. `reports` receives notifications of registries, if any report.
    Without `tokens`, no path is a token path.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        others: WSGIApplication,
        *,
        prefix: str = "",
        cors: AllowedOrigins | None = None,
        guarded: GuardedPages | None = None,
        reports: NotificationEndpoint | None = None,
        tokens: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._guarded = guarded
        self._others = others
        self._cors = cors
        self._reports = reports
        above = () if reports is None else dict.fromkeys(f"{one}{NOTIFICATIONS_PATH}/" for one in ("", prefix))
        self._above_reports = tuple(above)
        revocation = {} if endpoint.revocation is None else {REVOKE_PATH: endpoint.revoke}
        posts = {DEVICE_PATH: endpoint.device_codes, **revocation} if tokens else {}
        token_paths = TOKEN_PATHS if tokens else frozenset()
        self._posts = posts | {prefix + path: answer for path, answer in posts.items()}
        self._paths = token_paths | {prefix + path for path in token_paths} | self._posts.keys()
        below = {prefix: "/"} | {prefix + path: path for path in STATUS_PATHS} if prefix else {}
        # What a path means at the root comes first: below /auth, /auth itself is a token path.
        self._pages = {path: page for path, page in below.items() if path not in STATUS_PATHS | self._paths}

    def replace(self, other: TokenFront) -> None:
        """Answer as the other one from the next request on; requests in progress end as they began."""
        self._endpoint, self._others, self._cors = other._endpoint, other._others, other._cors
        self._paths, self._pages, self._posts = other._paths, other._pages, other._posts
        self._guarded = other._guarded
        self._reports, self._above_reports = other._reports, other._above_reports

    @property
    def endpoint(self) -> TokenEndpoint:
        """The endpoint that answers the token paths."""
        return self._endpoint

    def owns(self, path: str) -> bool:
        """Whether this endpoint answers that path."""
        return path in self._paths or path.startswith(self._above_reports)

    def _reporting(self, path: str) -> tuple[NotificationEndpoint, str] | None:
        """What receives notifications at this path, and the service name in it; None if it is no such path."""
        reports = self._reports
        if reports is None or path in self._paths:
            return None
        above = next((one for one in self._above_reports if path.startswith(one)), None)
        return None if above is None else (reports, path[len(above) :])

    def answer(self, environ: Mapping[str, Any]) -> TokenAnswer | None:
        """The response to a token request or a malformed one; None for a request to be passed on."""
        if self.owns(environ["PATH_INFO"]) or _has_bad_coding(environ):
            return self.token(environ)
        return None

    def token(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """The response to a request whose path `owns` accepted; the paths may have been replaced since."""
        path = environ["PATH_INFO"]
        reporting = None if self._reports is None else self._reporting(path)
        if reporting is not None and not _has_bad_coding(environ):
            return self._reported(environ, *reporting)
        post = self._posts.get(path)
        if _has_bad_coding(environ):
            answer = self._endpoint.refuse(400, "bad transfer encoding", (("Connection", "close"),))
        elif post is not None:
            answer = post(environ) if environ["REQUEST_METHOD"] == "POST" else self._other_method(environ, "POST")
        elif environ["REQUEST_METHOD"] in {"GET", "POST"}:
            answer = self._endpoint.answer(environ)
        else:
            answer = self._other_method(environ)
        return answer if self._cors is None else self._cors.admit(environ, answer)

    def _reported(self, environ: Mapping[str, Any], reports: NotificationEndpoint, service: str) -> TokenAnswer:
        if environ["REQUEST_METHOD"] != "POST":
            return self._endpoint.refuse(405, "method not allowed", (("Allow", "POST"),))
        return reports.answer(environ, service)

    def body_limit(self, environ: Mapping[str, Any]) -> BodyLimit:
        """The limit of the body of a request whose path `owns` accepted."""
        return form_limit(self._endpoint.limits) if self._reporting(environ["PATH_INFO"]) is None else BODY_LIMIT

    def admit_body(self, environ: Mapping[str, Any]) -> Place | TokenAnswer:
        """See `TokenEndpoint.admit_body`, and `NotificationEndpoint.admit_body`."""
        reporting = self._reporting(environ["PATH_INFO"])
        if reporting is not None:
            reports, service = reporting
            return reports.admit_body(environ, service)
        admitted = self._endpoint.admit_body(environ)
        if self._cors is None or not isinstance(admitted, TokenAnswer):
            return admitted
        return self._cors.admit(environ, admitted)

    def give_up(self, environ: Mapping[str, Any], error: TokenserverError) -> TokenAnswer:
        """See `TokenEndpoint.give_up`, and `NotificationEndpoint.give_up`."""
        reporting = self._reporting(environ["PATH_INFO"])
        if reporting is not None:
            reports, service = reporting
            return reports.give_up(environ, service, error)
        answer = self._endpoint.give_up(environ, error)
        return answer if self._cors is None else self._cors.admit(environ, answer)

    def page_body(self, environ: Mapping[str, Any]) -> BodyLimit | None:
        """The limit of the body of a request for a page; None if no body of it is read."""
        guarded = self._guarded
        if guarded is None or environ["REQUEST_METHOD"] in {"GET", "HEAD"} or _has_bad_coding(environ):
            return None
        page = guarded.at_root(environ["PATH_INFO"])
        return None if page is None else guarded.body_limit(page)

    def admit_page_body(self, environ: Mapping[str, Any], limit: BodyLimit) -> Place:
        """A place to read the body of a request for a page.

        Raises:
            RequestTooLarge, InvalidRequest: it is announced larger than allowed, or wrongly.
            PlainHttp, Overloaded: see `TokenEndpoint.place`.
        """
        announced_length(environ, limit)
        return self._endpoint.place(environ)

    def _other_method(self, environ: Mapping[str, Any], allowed: str = "GET, POST") -> TokenAnswer:
        preflight = None if self._cors is None else self._cors.preflight(environ)
        if preflight is not None:
            return self._endpoint.preflight(preflight)
        return self._endpoint.refuse(405, "method not allowed", (("Allow", allowed),))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request (PEP 3333)."""
        answer = self.answer(environ)
        if answer is None:
            guarded = self._guarded
            page = None if guarded is None else guarded.at_root(environ["PATH_INFO"])
            if guarded is not None and page is not None:
                return guarded(page, environ, start_response)
            return self._others(self._below_root(environ), start_response)
        start_response(_STATUS_LINES[answer.status], answer.headers)
        return [answer.body]

    def _below_root(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """The same request with its path at the root, if it is that of a page below the prefix."""
        path = environ["PATH_INFO"]
        page = self._pages.get(path)
        return environ if page is None else {**environ, "PATH_INFO": page, ASKED_PATH: path}


def wants_body(environ: Mapping[str, Any]) -> bool:
    """Whether the body of this request for a token should be read: only that of a POST is."""
    return environ["REQUEST_METHOD"] == "POST" and not _has_bad_coding(environ)


def _has_bad_coding(environ: Mapping[str, Any]) -> bool:
    """Whether there are two transfer codings, or one that a proxy in front may interpret differently. The end of such a
    request is ambiguous (RFC 9112, section 6.3), so nothing more is read from its connection."""
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    return coding is not None and coding.lower() != "chunked"


def create_app(
    endpoint: TokenEndpoint,
    status: Status,
    *,
    prefix: str = "",
    cors: AllowedOrigins | None = None,
    extend: Callable[[Flask], PagesForPeople] | None = None,
    reports: NotificationEndpoint | None = None,
    tokens: bool = True,
    tracer: Tracer | None = None,
) -> Flask:
    """The WSGI application of one listener; for `prefix`, `cors`, `reports` and `tokens` see `TokenFront`.

    `extend` adds the pages for people, which `GuardedPages` guards then. With a `tracer`, requests are traced.
    """
    app = Flask("tokenserver", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MIN_BODY
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.debug = False  # whatever FLASK_DEBUG says: a server that signs tokens has no debug mode
    # A redirect turns a client's POST into a bare GET, so no route may ever cause one.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.strict_slashes = False

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.setdefault("X-Request-Id", endpoint.new_id())
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if HSTS in endpoint.headers:
            response.headers.setdefault(*HSTS)
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        if people is not None and is_browser():
            return people.failed(error)
        status = error.code or 500
        problem = Problem(status, _CODES.get(status, "UNSUPPORTED"), "invalid_request", error.name.lower())
        response = Response(problem.body(oauth=request.method == "POST"), status=status)
        response.headers.update(JSON_HEADERS)
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response

    people, guarded = None, None
    if extend is not None:
        people = extend(app)
        guarded = GuardedPages(app.wsgi_app, _first_segments(app), prefix=prefix)
    add_status(app, status, None if people is None else people.home, tokens=tokens)
    if tokens:
        add_keys(app, status)
    kind = TokenFront
    if tracer is not None:
        from tokenserver.web.tracing import traced_front  # noqa: PLC0415 - only where requests are traced

        kind = traced_front(tracer, app.url_map)
    front = kind(endpoint, app.wsgi_app, prefix=prefix, cors=cors, guarded=guarded, reports=reports, tokens=tokens)
    app.wsgi_app = front  # type: ignore[method-assign]  # Flask's own way to wrap it
    return app


def _first_segments(app: Flask) -> frozenset[str]:
    """How the paths begin that blueprints have added."""
    return frozenset(rule.rule.split("/")[1] for rule in app.url_map.iter_rules() if "." in rule.endpoint)
