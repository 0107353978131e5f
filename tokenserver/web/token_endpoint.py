"""The token endpoint (Distribution: "Token Authentication Specification" and "Oauth2 Token Authentication").

It knows WSGI's environ and no web framework: `answer` takes the environ and gives status, headers and body.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tokenserver.credentials import Credentials, MalformedCredentials, NoCredentials, Password, Secret
from tokenserver.errors import (
    AuditUnavailable,
    InvalidCredentials,
    InvalidRequest,
    Overloaded,
    PlainHttp,
    RequestError,
    ServiceError,
    TokenserverError,
    UnsupportedGrantType,
)
from tokenserver.exchange.admission import Door
from tokenserver.exchange.audit import reason_of
from tokenserver.exchange.service import Exchange, Explain, Refusals, TokenRequest, TokenResult
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import parse_scopes
from tokenserver.tokens.reuse import SIZE
from tokenserver.web.authorization_header import normalize_username, parse_authorization
from tokenserver.web.bodies import BodyPlaces, Place
from tokenserver.web.client_address import Address
from tokenserver.web.parameters import Parameters, announced_form, parse_form, parse_query
from tokenserver.web.payloads import explanation_body, token_body
from tokenserver.web.problems import Problem, problem_for

logger = logging.getLogger("tokenserver.web")

JSON_HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Pragma", "no-cache"),
    ("Vary", "Authorization"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)

BODY_IS_READ = "tokenserver.body_is_read"
"""Set in the environ by a server that has read the whole body into memory before it calls; see `admit_body`."""

HSTS = ("Strict-Transport-Security", "max-age=31536000")
"""Only where clients come by https; it would bind every port of the host name to it (RFC 6797)."""


class TokenAnswer(NamedTuple):
    """What goes back to the client; `headers` are all there are."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Turns requests into exchanges and results into answers.

    `challenge` is the value of `WWW-Authenticate`, built from the configuration and never from a request. `client_of`
    tells whose request it is from the peer's address and X-Forwarded-For (None: no such header). `bodies`
    are those of tokens that are given more than once. `places` bounds how many forms are read at once. What
    `is_protected` says no to, where there is such a thing, is refused unread. `headers` stand in every answer. `door`
    bounds how many requests are worked on at once and how many wait for that.
    """

    exchange: Exchange
    explanation: Explain
    trail: Refusals
    challenge: str
    client_of: Callable[[str, str | None], Address | None]
    new_id: Callable[[], str]
    monotonic: Callable[[], float]
    door: Door
    is_protected: Callable[[Mapping[str, Any], Address | None], bool] | None = None
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    places: BodyPlaces = field(default_factory=BodyPlaces, repr=False)
    bodies: BoundedCache[tuple[str, bool], bytes] = field(default_factory=lambda: BoundedCache(SIZE), repr=False)

    def answer(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """Answer one GET or POST; never raises.

        Whom the door sends away has exchanged nothing, so it leaves no event: an overload must cost little.
        """
        try:
            with self.door:
                return self._inside(environ)
        except Overloaded as error:
            problem = problem_for(error, challenge=self.challenge)
            oauth = environ["REQUEST_METHOD"] == "POST"
            return self._answer(problem.status, problem.body(oauth=oauth), self.new_id(), problem)

    def admit_body(self, environ: Mapping[str, Any]) -> Place | TokenAnswer:
        """A place for a POST's form, for a server that reads bodies by itself; or the answer that needs no body.

        Such a server reads the body within `BODY_SECONDS` of its headers, calls `Place.leave`, and then `answer` with
        `BODY_IS_READ` in the environ and the body in `wsgi.input`; or it answers with `give_up`.
        """
        client = self._client(environ)
        try:
            self._see_to_https(environ, client)
            announced_form(environ)
            return self.places.take(client)
        except TokenserverError as error:
            return self.give_up(environ, error)

    def give_up(self, environ: Mapping[str, Any], error: TokenserverError) -> TokenAnswer:
        """The answer to a POST whose body was not read to its end, with its audit event; never raises.

        Nothing more is read from its connection (RFC 9112, section 9.3).
        """
        request_id = self.new_id()
        failure: Exception = error
        try:
            client = self._client(environ)
            self.trail.refused(request_id=request_id, method="POST", client=client, error=error, ms=0.0)
        except Exception as unwritten:
            failure = unwritten
        _log(failure, request_id)
        problem = problem_for(failure, challenge=self.challenge)
        problem = replace(problem, headers=(*problem.headers, ("Connection", "close")))
        return self._answer(problem.status, problem.body(oauth=True), request_id, problem)

    def _client(self, environ: Mapping[str, Any]) -> Address | None:
        return self.client_of(environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"))

    def _see_to_https(self, environ: Mapping[str, Any], client: Address | None) -> None:
        if self.is_protected is not None and not self.is_protected(environ, client):
            raise PlainHttp

    def _inside(self, environ: Mapping[str, Any]) -> TokenAnswer:
        start = self.monotonic()
        request_id = self.new_id()
        method = str(environ["REQUEST_METHOD"])
        client = self._client(environ)
        try:
            try:
                request = self._parse(environ, request_id, method, client)
            except TokenserverError as error:
                self.trail.refused(
                    request_id=request_id,
                    method=method,
                    client=client,
                    error=error,
                    ms=(self.monotonic() - start) * 1000,
                )
                raise
            if request.explain:
                return self._answer(200, explanation_body(self.explanation.explain(request)), request_id)
            result = self.exchange.exchange(request)
        except Exception as error:
            _log(error, request_id)
            problem = problem_for(error, challenge=self.challenge)
            return self._answer(problem.status, problem.body(oauth=method == "POST"), request_id, problem)
        return self._answer(200, self._body(result, with_scope=method == "POST"), request_id)

    def refuse(self, status: int, message: str, headers: tuple[tuple[str, str], ...]) -> TokenAnswer:
        """The answer to what is no token request at all. Nothing was exchanged, so it leaves no event."""
        problem = Problem(status, "UNSUPPORTED", "invalid_request", message, headers)
        return self._answer(status, problem.body(oauth=False), self.new_id(), problem)

    def _answer(self, status: int, body: bytes, request_id: str, problem: Problem | None = None) -> TokenAnswer:
        own = problem.headers if problem is not None else ()
        length = ("Content-Length", str(len(body)))
        return TokenAnswer(status, [*self.headers, ("X-Request-Id", request_id), *own, length], body)

    def _body(self, result: TokenResult, *, with_scope: bool) -> bytes:
        if not result.token.is_shared:
            return token_body(result, with_scope=with_scope)
        key = (result.token.jti, with_scope)
        body = self.bodies.get(key)
        if body is None:
            body = token_body(result, with_scope=with_scope)
            self.bodies.put(key, body)
        return body

    def _form(self, environ: Mapping[str, Any], client: Address | None) -> Parameters:
        if BODY_IS_READ in environ:
            return parse_form(environ)
        with self.places.take(client), self.door.aside():
            return parse_form(environ)

    def _parse(
        self,
        environ: Mapping[str, Any],
        request_id: str,
        method: str,
        client: Address | None,
    ) -> TokenRequest:
        # First of all, so that nothing of what was sent is looked at, the password least of all.
        self._see_to_https(environ, client)
        parameters = parse_query(environ.get("QUERY_STRING") or "")
        header = environ.get("HTTP_AUTHORIZATION")
        credentials = parse_authorization(() if header is None else (header,))
        if method == "POST":
            in_query, parameters = parameters, self._form(environ, client)
            for name in in_query.single.keys() & parameters.single.keys():
                raise InvalidRequest(f"{name}: stands in the query and in the form")
            credentials = _form_credentials(parameters, credentials)
        single = parameters.single
        return TokenRequest(
            request_id,
            method,
            single.get("service") or None,
            parse_scopes(parameters.scopes),
            credentials,
            single.get("account") or None,
            client,
            "explain" in single and _wants_explanation(method, parameters),
        )


def _wants_explanation(method: str, parameters: Parameters) -> bool:
    value = parameters.get("explain")
    if value not in (None, "1") or (value and method != "GET"):
        raise InvalidRequest("explain: must be explain=1, in the query of a GET")
    return value is not None


def _form_credentials(parameters: Parameters, header: Credentials) -> Credentials:
    """The credentials of a POST (RFC 6749, section 4.3.2)."""
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("grant_type: is missing")
    if grant_type != "password":
        raise UnsupportedGrantType("this grant_type is not supported; supported is password")
    for name in ("username", "password"):
        if name not in parameters.single:
            raise InvalidRequest(f"{name}: is missing")
    if isinstance(header, MalformedCredentials):
        return header
    try:
        username = normalize_username(parameters.single["username"])
    except InvalidCredentials as error:
        return MalformedCredentials(error.reason)
    credentials = Password(username, Secret(parameters.single["password"]))
    if not isinstance(header, NoCredentials) and header != credentials:
        return MalformedCredentials("the header and the form bring different credentials")
    return credentials


def _log(error: Exception, request_id: str) -> None:
    """Tell the operator what the client is not told. An unexpected error's text may hold anything: not logged."""
    if isinstance(error, (RequestError, Overloaded, AuditUnavailable)):
        # The bulkhead and the audit trail tell of it, once in a while: a line for each client would be load as well.
        return
    if isinstance(error, ServiceError):
        logger.error("request %s: %s", request_id, reason_of(error))
        return
    frames = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in _frames(error))
    logger.error("request %s: unexpected %s in %s", request_id, type(error).__name__, frames)


def _frames(error: Exception) -> list[traceback.FrameSummary]:
    return list(reversed(traceback.extract_tb(error.__traceback__)))[:8]
