"""The WSGI application: the token endpoint, in front of Flask for everything else.

The token endpoint needs nothing that Flask offers and gets nearly all of the load, so it comes before Flask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from tokenserver.errors import TokenserverError
from tokenserver.web.bodies import Place
from tokenserver.web.cors import AllowedOrigins
from tokenserver.web.front_page import HTML_HEADERS, as_html, as_json
from tokenserver.web.oauth.device import DEVICE_PATH
from tokenserver.web.oauth.revocation import REVOKE_PATH
from tokenserver.web.pages.guard import ASKED_PATH, GuardedPages, PagesForPeople, is_browser
from tokenserver.web.parameters import MIN_BODY, BodyLimit, announced_length
from tokenserver.web.problems import Problem
from tokenserver.web.token_endpoint import HSTS, JSON_HEADERS, TokenAnswer, TokenEndpoint

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

TOKEN_PATHS = frozenset({"/token", "/auth/token", "/auth"})
"""The endpoint; the registries' autoredirect path; the path in the realm of existing installations."""

PAGE_PATHS = frozenset({"/", "/healthz", "/readyz", "/.well-known/jwks.json", "/ca.pem"})
"""The other endpoints."""

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE", 500: "UNAVAILABLE"}


@dataclass(frozen=True, slots=True)
class Pages:
    """The contents of the other endpoints. Each is called per request.

    `readiness` returns for each part None if it is ready, else what is wrong; `notes` what is degraded but harmless so
    far. `jwks` and `ca_pem` are called with the service whose keys are wanted, None for those of all; they return None
    if there is no such registry. Readers may cache the JWKS for `jwks_seconds`.
    """

    readiness: Callable[[], Mapping[str, str | None]]
    notes: Callable[[], Mapping[str, str]]
    jwks: Callable[[str | None], str | None]
    ca_pem: Callable[[str | None], str | None]
    jwks_seconds: int = 300


class TokenFront:
    """WSGI middleware: answers the token paths and passes everything else on. Methods but GET and POST get 405.

    `prefix` is the path of the server's public URL. Every path is answered at the root, for proxies that strip the
    prefix, and below the prefix, for those that keep it. Paths are compared as a whole: one with a further slash, or
    with the prefix twice, is none of them. `cors` has the origins whose pages may ask for tokens, if there are any, and
    `guarded` the pages for people, if there are any.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        others: WSGIApplication,
        *,
        prefix: str = "",
        cors: AllowedOrigins | None = None,
        guarded: GuardedPages | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._guarded = guarded
        self._others = others
        self._cors = cors
        revocation = {} if endpoint.revocation is None else {REVOKE_PATH: endpoint.revoke}
        posts = {DEVICE_PATH: endpoint.device_codes, **revocation}
        self._posts = posts | {prefix + path: answer for path, answer in posts.items()}
        self._paths = TOKEN_PATHS | {prefix + path for path in TOKEN_PATHS} | self._posts.keys()
        below = {prefix: "/"} | {prefix + path: path for path in PAGE_PATHS} if prefix else {}
        # What a path means at the root comes first: below /auth, /auth itself is a token path.
        self._pages = {path: page for path, page in below.items() if path not in PAGE_PATHS | self._paths}

    def replace(self, other: TokenFront) -> None:
        """Answer as the other one from the next request on; requests in progress end as they began."""
        self._endpoint, self._others, self._cors = other._endpoint, other._others, other._cors
        self._paths, self._pages, self._posts = other._paths, other._pages, other._posts
        self._guarded = other._guarded

    @property
    def endpoint(self) -> TokenEndpoint:
        """The endpoint that answers the token paths."""
        return self._endpoint

    def owns(self, path: str) -> bool:
        """Whether this endpoint answers that path."""
        return path in self._paths

    def answer(self, environ: Mapping[str, Any]) -> TokenAnswer | None:
        """The response to a token request or a malformed one; None for a request to be passed on."""
        if environ["PATH_INFO"] in self._paths or _has_bad_coding(environ):
            return self.token(environ)
        return None

    def token(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """The response to a request whose path `owns` accepted; the paths may have been replaced since."""
        post = self._posts.get(environ["PATH_INFO"])
        if _has_bad_coding(environ):
            answer = self._endpoint.refuse(400, "bad transfer encoding", (("Connection", "close"),))
        elif post is not None:
            answer = post(environ) if environ["REQUEST_METHOD"] == "POST" else self._other_method(environ, "POST")
        elif environ["REQUEST_METHOD"] in {"GET", "POST"}:
            answer = self._endpoint.answer(environ)
        else:
            answer = self._other_method(environ)
        return answer if self._cors is None else self._cors.admit(environ, answer)

    def admit_body(self, environ: Mapping[str, Any]) -> Place | TokenAnswer:
        """See `TokenEndpoint.admit_body`."""
        admitted = self._endpoint.admit_body(environ)
        if self._cors is None or not isinstance(admitted, TokenAnswer):
            return admitted
        return self._cors.admit(environ, admitted)

    def give_up(self, environ: Mapping[str, Any], error: TokenserverError) -> TokenAnswer:
        """See `TokenEndpoint.give_up`."""
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
    pages: Pages,
    *,
    prefix: str = "",
    cors: AllowedOrigins | None = None,
    extend: Callable[[Flask], PagesForPeople] | None = None,
) -> Flask:
    """The WSGI application; for `prefix` and `cors` see `TokenFront`.

    `extend` adds the pages for people, which `GuardedPages` guards then.
    """
    app = Flask("tokenserver", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MIN_BODY
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.debug = False  # whatever FLASK_DEBUG says: a server that signs tokens has no debug mode
    # A redirect turns a client's POST into a bare GET, so no route may ever cause one.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.strict_slashes = False

    @app.get("/", provide_automatic_options=False)
    def front_page() -> Response:
        if request.environ.get("PATH_INFO") != "/":  # an empty path, which a strict rule would redirect to this one
            raise NotFound
        # Links are relative, so the page depends on whether its own address ends with a slash.
        base = f"{request.environ.get(ASKED_PATH, '/').rpartition('/')[2]}/".removeprefix("/")
        is_ready = all(problem is None for problem in pages.readiness().values())
        if is_browser():
            if people is not None:
                return people.home(is_ready)
            response = Response(as_html(is_ready=is_ready, base=base))
            response.headers.update(HTML_HEADERS)
            return response
        response = Response(as_json(is_ready=is_ready, base=base))
        response.headers.update(JSON_HEADERS)
        response.headers["Vary"] = "Accept"
        return response

    @app.get("/healthz", provide_automatic_options=False)
    def healthz() -> Response:
        return _json(200, {"status": "ok"})

    @app.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        parts = pages.readiness()
        ready = all(problem is None for problem in parts.values())
        content: dict[str, object] = {
            "ready": ready,
            "parts": {name: problem or "ok" for name, problem in parts.items()},
        }
        notes = pages.notes()
        if notes:
            content["notes"] = notes
        return _json(200 if ready else 503, content)

    @app.get("/.well-known/jwks.json", provide_automatic_options=False)
    def jwks() -> Response:
        response = _published(pages.jwks, "application/json")
        response.headers["Cache-Control"] = f"public, max-age={pages.jwks_seconds}"
        return response

    @app.get("/ca.pem", provide_automatic_options=False)
    def ca_pem() -> Response:
        return _published(pages.ca_pem, "application/x-pem-file")

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
    app.wsgi_app = TokenFront(endpoint, app.wsgi_app, prefix=prefix, cors=cors, guarded=guarded)  # type: ignore[method-assign]  # Flask's own way to wrap it
    return app


def _first_segments(app: Flask) -> frozenset[str]:
    """How the paths begin that blueprints have added."""
    return frozenset(rule.rule.split("/")[1] for rule in app.url_map.iter_rules() if "." in rule.endpoint)


def _published(page: Callable[[str | None], str | None], content_type: str) -> Response:
    """A page for all keys or, with `?service=NAME`, for those of one registry."""
    text = page(request.args.get("service"))
    if text is None:
        raise NotFound
    return Response(text, content_type=content_type)


def _json(status: int, content: Mapping[str, object]) -> Response:
    response = Response(json.dumps(content) + "\n", status=status)
    response.headers.update(JSON_HEADERS)
    return response
