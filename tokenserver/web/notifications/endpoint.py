"""The endpoint for notifications of registries: each reports to the path of its own service name, with its own secret.

A registry sends a report again until it gets a success. So the answer is a success only when every report is in the
audit trail, and a report that cannot be read is recorded as that rather than refused: the registry would send it again
for ever, and nothing after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tokenserver.credentials import Password, Secret
from tokenserver.errors import AuditUnavailable, AuthenticationRequired, InvalidCredentials, Overloaded
from tokenserver.exchange.admission import AdmissionControl
from tokenserver.exchange.audit import reason_of
from tokenserver.exchange.audit_events import cut, shown
from tokenserver.exchange.outcomes import outcome_of
from tokenserver.notifications.cloud_events import is_cloud_event, read_cloud_event
from tokenserver.notifications.envelope import read_envelope
from tokenserver.notifications.facts import UNREADABLE, Report, UnreadableReport, audit_event
from tokenserver.server.notifications.secret_files import Reporter
from tokenserver.server.notifications.written_reports import WrittenReports
from tokenserver.web.authorization_header import parse_authorization
from tokenserver.web.bodies import BodyPlaces, Place
from tokenserver.web.client_address import Address
from tokenserver.web.parameters import READ_BODY, BodyLimit, UnsupportedMediaType, announced_length, read_body
from tokenserver.web.problems import problem_for
from tokenserver.web.token_endpoint import TokenAnswer, log_failure

MAX_BODY = 1024 * 1024
"""Bytes of one request. An event of Distribution has one or two thousand; one of zot contains the whole manifest."""

BODY_LIMIT = BodyLimit(MAX_BODY, f"the body is larger than {MAX_BODY} bytes")

NOT_A_REPORTER = (
    "wrong secret, or no registry of this name reports here;"
    " fix: compare the registry's configuration with registry-config --notifications"
)
"""The answer without the right secret. It does not tell which names report."""

_CHALLENGE = 'Bearer realm="notifications"'
_ENVELOPES = "application/vnd.docker.distribution.events."
_NOBODY = b"{}\n"


def _nothing_counted(_service: str, _what: str) -> None:
    """Without metrics."""


@dataclass(frozen=True, slots=True)
class NotificationEndpoint:
    """Receives reports, and writes each to the audit trail with `record`.

    `reporters` are the registries that report, by each of their service names; a report of `written` is not written
    again. `count` counts a written report by service and action, `count_refused` a refused request by outcome and the
    service that its path names, which proves nothing (empty if none of that name reports). A wrong secret is a failure
    for `count_unknown`, as that of any unknown secret. The other fields are those of
    `TokenEndpoint`.
    """

    reporters: Mapping[str, Reporter]
    written: WrittenReports
    record: Callable[[dict[str, Any]], None]
    count_unknown: Callable[[Secret, Address | None], None]
    client_of: Callable[[str, str | None], Address | None]
    new_id: Callable[[], str]
    admission: AdmissionControl
    headers: tuple[tuple[str, str], ...]
    https_only: Callable[[Mapping[str, Any], Address | None], None] | None = None
    places: BodyPlaces = field(default_factory=BodyPlaces, repr=False)
    count: Callable[[str, str], None] = _nothing_counted
    count_refused: Callable[[str, str], None] = _nothing_counted

    def answer(self, environ: Mapping[str, Any], service: str) -> TokenAnswer:
        """Answer one POST to the path of a service name; never raises."""
        request_id = self.new_id()
        try:
            client = self._client(environ)
            reporter = self._reporter(environ, service, client)
            with self.admission:
                reports = _reports(environ, self._body(environ, client))
                self._write(reporter, reports, request_id, client)
            return self._success(request_id)
        except Exception as error:
            return self._failure(environ, service, error, request_id)

    def admit_body(self, environ: Mapping[str, Any], service: str) -> Place | TokenAnswer:
        """As `TokenEndpoint.admit_body`. Nothing is read of a request with a wrong secret."""
        try:
            client = self._client(environ)
            self._reporter(environ, service, client)
            announced_length(environ, BODY_LIMIT)
            return self.places.take(client)
        except Exception as error:
            return self.give_up(environ, service, error)

    def give_up(self, environ: Mapping[str, Any], service: str, error: Exception) -> TokenAnswer:
        """As `TokenEndpoint.give_up`."""
        return self._failure(environ, service, error, self.new_id(), (("Connection", "close"),))

    def _client(self, environ: Mapping[str, Any]) -> Address | None:
        return self.client_of(environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"))

    def _reporter(self, environ: Mapping[str, Any], service: str, client: Address | None) -> Reporter:
        """The registry that the request proves to come from.

        Raises:
            PlainHttp: it came over the network without TLS.
            AuthenticationRequired, InvalidCredentials, Throttled: it proves none; an unknown service has no secret.
        """
        if self.https_only is not None:
            self.https_only(environ, client)
        given = _secret_of(environ)
        if given is None:
            raise AuthenticationRequired
        # The right secret is accepted whatever was tried before: nobody can silence a registry by wrong ones.
        reporter = self.reporters.get(service)
        if reporter is not None and reporter.secrets.accepts(given):
            return reporter
        with self.admission:
            self.count_unknown(Secret(given), client)
        raise InvalidCredentials("wrong secret of notifications, or an unknown service", NOT_A_REPORTER)

    def _body(self, environ: Mapping[str, Any], client: Address | None) -> bytes:
        body = environ.get(READ_BODY)
        if isinstance(body, bytes):
            return body
        length = announced_length(environ, BODY_LIMIT)
        with self.places.take(client), self.admission.slot_released():
            return read_body(environ, length, BODY_LIMIT)

    def _write(self, reporter: Reporter, reports: Iterable[Report], request_id: str, client: Address | None) -> None:
        service, address = reporter.service, None if client is None else str(client)
        for report in reports:
            if not isinstance(report, UnreadableReport) and (
                report.action not in reporter.actions or (report.is_blob and not reporter.has_blobs)
            ):
                continue
            event = audit_event(report, registry=service, request_id=request_id, reported_by=address)
            if not report.id:
                self.record(event)
            elif not self.written.write_once(service, report.id, partial(self.record, event)):
                continue
            self.count(service, UNREADABLE if isinstance(report, UnreadableReport) else report.action)

    def _success(self, request_id: str) -> TokenAnswer:
        return self._answer(200, _NOBODY, request_id, ())

    def _failure(
        self,
        environ: Mapping[str, Any],
        service: str,
        error: Exception,
        request_id: str,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> TokenAnswer:
        failure = error
        if not isinstance(error, (Overloaded, AuditUnavailable)):  # an overload must cost little
            try:
                self.record(self._refusal(environ, service, error, request_id))
            except AuditUnavailable as unrecorded:
                failure = unrecorded
        log_failure(failure, request_id)
        self.count_refused(service if service in self.reporters else "", outcome_of(failure))
        problem = problem_for(failure, challenge=_CHALLENGE)
        return self._answer(problem.status, problem.body(oauth=False), request_id, (*problem.headers, *headers))

    def _refusal(self, environ: Mapping[str, Any], service: str, error: Exception, request_id: str) -> dict[str, Any]:
        client = self._client(environ)
        return {
            "event": "notifications",
            "request_id": request_id,
            "registry": cut(shown(service)),
            "client": None if client is None else str(client),
            "outcome": outcome_of(error),
            "reason": cut(reason_of(error)),
        }

    def _answer(self, status: int, body: bytes, request_id: str, headers: tuple[tuple[str, str], ...]) -> TokenAnswer:
        length = ("Content-Length", str(len(body)))
        return TokenAnswer(status, [*self.headers, ("X-Request-Id", request_id), *headers, length], body)


def _secret_of(environ: Mapping[str, Any]) -> str | None:
    """The secret of the request: of a bearer, or the password of any user, as zot sends it; None if there is none."""
    header = environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return str(rest).strip(" ")
    found = parse_authorization((header,))
    return found.password.reveal() if isinstance(found, Password) else ""


def _reports(environ: Mapping[str, Any], body: bytes) -> list[Report]:
    """The reports in a body of one of the known kinds.

    Raises:
        UnsupportedMediaType, InvalidRequest: it is of none, or cannot be read.
    """
    media_type = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if is_cloud_event(media_type, environ):
        return read_cloud_event(body, media_type, environ)
    if media_type.startswith(_ENVELOPES) or media_type == "application/json":
        return read_envelope(body)
    raise UnsupportedMediaType("the body must be an envelope of Distribution, or a CloudEvent")
