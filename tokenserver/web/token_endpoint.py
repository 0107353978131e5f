"""The token endpoint (Distribution: "Token Authentication Specification" and "Oauth2 Token Authentication").

It knows WSGI's environ and no web framework: `answer` takes the environ and returns status, headers and body.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from tokenserver.errors import (
    AuditUnavailable,
    Overloaded,
    RequestError,
    ServiceError,
    TokenserverError,
    UnsupportedGrantType,
)
from tokenserver.exchange.admission import AdmissionControl
from tokenserver.exchange.audit import reason_of
from tokenserver.exchange.observers import ObservedExchange
from tokenserver.exchange.service import GrantPurpose, TokenRequest, TokenResult
from tokenserver.exchange.stored.device_refusals import AuthorizationPending, SlowDown
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import DEFAULT_LIMITS, ScopeLimits
from tokenserver.tokens.reuse import SIZE
from tokenserver.web.bodies import BodyPlaces, Place
from tokenserver.web.client_address import Address
from tokenserver.web.oauth.device import NOT_HERE, DeviceEndpoint
from tokenserver.web.oauth.grants import DEVICE_CODE, TOKEN_EXCHANGE
from tokenserver.web.oauth.repeated_forms import repeated_form
from tokenserver.web.oauth.revocation import Revoke, revocation_request
from tokenserver.web.parameters import READ_BODY, Parameters, announced_form, parse_form, parse_query
from tokenserver.web.payloads import exchange_body, explanation_body, token_body
from tokenserver.web.problems import Problem, problem_for
from tokenserver.web.request_reader import token_request, unparsed

logger = logging.getLogger("tokenserver.web")

JSON_HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Pragma", "no-cache"),
    ("Vary", "Authorization"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)

BYTES_OF_A_BODY = 8 * 1024
"""A larger response counts as several in the cache of responses."""

HSTS = ("Strict-Transport-Security", "max-age=31536000")
"""Only if clients come by https: it binds every port of the host name to https (RFC 6797)."""


class TokenAnswer(NamedTuple):
    """The response to the client, with all of its headers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Turns HTTP requests into exchanges, and their outcomes into responses.

    `challenge` is the value of `WWW-Authenticate`, built from the configuration and never from a request. `client_of`
    finds the client's address from the peer's and X-Forwarded-For (None: no such header). `admission` limits how many
    requests are handled concurrently and how many queue, `places` how many forms are read concurrently. A request that
    `https_only`, if given, raises for is refused unread. `headers` are in every response. `limits` is how much one
    request may ask for. `bodies` caches the responses of reused tokens. `revocation` ends stored credentials, if there
    are any, and `device` answers devices that ask for a login, if there are refresh tokens.
    """

    exchange: ObservedExchange
    challenge: str
    client_of: Callable[[str, str | None], Address | None]
    new_id: Callable[[], str]
    monotonic: Callable[[], float]
    admission: AdmissionControl
    https_only: Callable[[Mapping[str, Any], Address | None], None] | None = None
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    limits: ScopeLimits = DEFAULT_LIMITS
    places: BodyPlaces = field(default_factory=BodyPlaces, repr=False)
    bodies: BoundedCache[tuple[str, bool], bytes] = field(default_factory=lambda: BoundedCache(SIZE), repr=False)
    revocation: Revoke | None = None
    device: DeviceEndpoint | None = None

    def answer(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """Answer one GET or POST; never raises.

        A request that admission control rejects was not exchanged and leaves no event: an overload must cost little.
        """
        try:
            with self.admission:
                return self._admitted(environ)
        except Overloaded as error:
            return self._failure(error, self.new_id(), oauth=environ["REQUEST_METHOD"] == "POST")

    def _admitted(self, environ: Mapping[str, Any]) -> TokenAnswer:
        start = self.monotonic()
        request_id = self.new_id()
        method = str(environ["REQUEST_METHOD"])
        client = self._client(environ)
        form: Parameters | None = None
        try:
            try:
                query = self._query(environ, client)
                if method == "POST":
                    form = self._form(environ, client)
                    if form.get("grant_type") == DEVICE_CODE:
                        return self._answer(200, self._device_token(environ, form, request_id, client), request_id)
                request = token_request(environ, query, form, request_id=request_id, client=client, limits=self.limits)
            except (AuthorizationPending, SlowDown):
                raise  # nothing has happened yet, and nothing will for a while
            except TokenserverError as error:
                refused = unparsed(environ, error, form, request_id=request_id, client=client)
                self.exchange.refused(refused, error, self.monotonic() - start)
                raise
            result = self.exchange.exchange(request)
            return self._answer(200, self._body(result, request), request_id)
        except Exception as error:
            is_exchange = form is not None and form.get("grant_type") == TOKEN_EXCHANGE
            return self._failure(error, request_id, oauth=method == "POST", is_exchange=is_exchange)

    def revoke(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """Answer a POST to the revocation endpoint; never raises."""
        request_id = self.new_id()
        client = self._client(environ)
        try:
            with self.admission:
                self._query(environ, client)
                request = revocation_request(environ, self._form(environ, client), request_id=request_id, client=client)
                if self.revocation is not None:
                    with self.admission.slot_released():
                        self.revocation(request)
                return self._answer(200, b"{}\n", request_id)
        except Exception as error:
            return self._failure(error, request_id, oauth=True)

    def device_codes(self, environ: Mapping[str, Any]) -> TokenAnswer:
        """Answer a POST to the device endpoint; never raises."""
        if self.device is None:
            return self.refuse(404, NOT_HERE, (), oauth=True)
        request_id = self.new_id()
        client = self._client(environ)
        try:
            with self.admission:
                self._query(environ, client)
                form = self._form(environ, client, many_services=True)
                with self.admission.slot_released():
                    return self._answer(200, self.device.begin(environ, form, request_id, client), request_id)
        except Exception as error:
            return self._failure(error, request_id, oauth=True)

    def _device_token(
        self, environ: Mapping[str, Any], form: Parameters, request_id: str, client: Address | None
    ) -> bytes:
        if self.device is None:
            raise UnsupportedGrantType(NOT_HERE)
        waiting = self.admission.slot_released
        return self.device.grant(environ, form, request_id, client, limits=self.limits, waiting=waiting)

    def _client(self, environ: Mapping[str, Any]) -> Address | None:
        return self.client_of(environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"))

    def _query(self, environ: Mapping[str, Any], client: Address | None) -> Parameters:
        # First of all, so that nothing of what was sent is read, least of all the password; `admit_body` has done so.
        if self.https_only is not None and READ_BODY not in environ:
            self.https_only(environ, client)
        return parse_query(environ.get("QUERY_STRING") or "", self.limits)

    def _form(self, environ: Mapping[str, Any], client: Address | None, *, many_services: bool = False) -> Parameters:
        if READ_BODY in environ:
            read = partial(parse_form, many_services=True) if many_services else repeated_form
            return read(environ, self.limits)
        with self.places.take(client), self.admission.slot_released():
            return parse_form(environ, self.limits, many_services=many_services)

    def _body(self, result: TokenResult, request: TokenRequest) -> bytes:
        token, ruling, denials, login = result
        if token is None:
            return explanation_body(ruling, denials)
        with_scope = request.method == "POST"
        if request.grant is not GrantPurpose.USUAL:
            return exchange_body(token, ruling, login)
        if not token.is_shared or login is not None:
            return token_body(token, ruling, with_scope=with_scope, login=login)
        key = (token.jti, with_scope)
        body = self.bodies.get(key)
        if body is None:
            body = token_body(token, ruling, with_scope=with_scope)
            self.bodies.put(key, body, 1 + len(body) // BYTES_OF_A_BODY)
        return body

    def _failure(
        self,
        error: Exception,
        request_id: str,
        *,
        oauth: bool,
        headers: tuple[tuple[str, str], ...] = (),
        is_exchange: bool = False,
    ) -> TokenAnswer:
        """Log what the operator should know, and answer with what the client may know."""
        log_failure(error, request_id)
        problem = problem_for(error, challenge=self.challenge, is_exchange=is_exchange)
        return self._answer(problem.status, problem.body(oauth=oauth), request_id, (*problem.headers, *headers))

    def _answer(
        self, status: int, body: bytes, request_id: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> TokenAnswer:
        length = ("Content-Length", str(len(body)))
        return TokenAnswer(status, [*self.headers, ("X-Request-Id", request_id), *headers, length], body)

    def admit_body(self, environ: Mapping[str, Any]) -> Place | TokenAnswer:
        """A place to read a POST's form, for a server that reads bodies by itself; or the answer that needs no body.

        Such a server reads the body within `BODY_SECONDS` of its headers, calls `Place.leave`, and then `answer` with
        the body as `READ_BODY` in the environ; or it answers with `give_up`.
        """
        try:
            client = self._protected_client(environ)
            announced_form(environ, self.limits)
            return self.places.take(client)
        except TokenserverError as error:
            return self.give_up(environ, error)

    def place(self, environ: Mapping[str, Any]) -> Place:
        """A place to read the body of any request.

        Raises:
            PlainHttp: it came over the network without TLS.
            Overloaded: there is no place.
        """
        return self.places.take(self._protected_client(environ))

    def _protected_client(self, environ: Mapping[str, Any]) -> Address | None:
        client = self._client(environ)
        if self.https_only is not None:
            self.https_only(environ, client)
        return client

    def give_up(self, environ: Mapping[str, Any], error: TokenserverError) -> TokenAnswer:
        """The answer to a POST whose body was not read to its end, with its audit event; never raises.

        Nothing more is read from its connection (RFC 9112, section 9.3).
        """
        request_id = self.new_id()
        failure: Exception = error
        try:
            refused = unparsed(environ, error, request_id=request_id, client=self._client(environ))
            self.exchange.refused(refused, error, 0.0)
        except Exception as unrecorded:
            failure = unrecorded
        return self._failure(failure, request_id, oauth=True, headers=(("Connection", "close"),))

    def preflight(self, headers: tuple[tuple[str, str], ...]) -> TokenAnswer:
        """The answer to a CORS preflight request, with these headers."""
        common = [header for header in self.headers if header[0] != "Content-Type"]
        return TokenAnswer(204, [*common, ("X-Request-Id", self.new_id()), *headers], b"")

    def refuse(
        self, status: int, message: str, headers: tuple[tuple[str, str], ...], *, oauth: bool = False
    ) -> TokenAnswer:
        """The answer to a request that is no token request. Nothing was exchanged, so it leaves no event."""
        problem = Problem(status, "UNSUPPORTED", "invalid_request", message)
        return self._answer(status, problem.body(oauth=oauth), self.new_id(), headers)


def log_failure(error: Exception, request_id: str) -> None:
    """Log what the client is not told. The text of an unexpected error may hold anything, so it is not logged."""
    if isinstance(error, (RequestError, Overloaded, AuditUnavailable)):
        # The bulkhead and the audit trail log these at a limited rate: a line for each request would add to the load.
        return
    if isinstance(error, ServiceError):
        logger.error("request %s: %s", request_id, reason_of(error))
        return
    frames = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in _frames(error))
    logger.error("request %s: unexpected %s in %s", request_id, type(error).__name__, frames)


def _frames(error: Exception) -> list[traceback.FrameSummary]:
    return list(reversed(traceback.extract_tb(error.__traceback__)))[:8]
