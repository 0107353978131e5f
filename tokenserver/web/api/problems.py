"""From errors to problems (RFC 9457). Clients learn nothing but what they can fix."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from tokenserver.errors import AuthenticationRequired, InvalidCredentials, PlainHttp, RequestError, Throttled
from tokenserver.management.refusals import Conflict, InvalidWish, MayNotManage, NotFoundHere, ProofTooOld
from tokenserver.web.api.answers import FaultDocument, ProblemDocument
from tokenserver.web.api.faults import (
    BadRequest,
    CrossSiteRequest,
    KeyReused,
    MethodNotOffered,
    StillInProgress,
    UnknownPath,
)
from tokenserver.web.api.requests import WISH_FIELDS
from tokenserver.web.parameters import BodyTooSlow, RequestTooLarge, UnsupportedMediaType
from tokenserver.web.problems import problem_for

_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownPath, 404, "unknown_path"),
    (NotFoundHere, 404, "not_found"),
    (MethodNotOffered, 405, "method_not_offered"),
    (ProofTooOld, 403, "login_too_old"),
    (MayNotManage, 403, "may_not_manage"),
    (CrossSiteRequest, 403, "cross_site"),
    (PlainHttp, 403, "plain_http"),
    (Conflict, 409, "conflict"),
    (StillInProgress, 409, "in_progress"),
    (KeyReused, 422, "idempotency_key_reused"),
    (InvalidCredentials, 401, "invalid_credentials"),
    (AuthenticationRequired, 401, "authentication_required"),
    (Throttled, 429, "throttled"),
    (BodyTooSlow, 408, "body_too_slow"),
    (RequestTooLarge, 413, "too_large"),
    (UnsupportedMediaType, 415, "unsupported_media_type"),
    (RequestError, 400, "invalid_request"),
)
"""The status and the code of each kind of error; the first that fits counts. Others are the server's."""


@dataclass(frozen=True, slots=True)
class ApiProblem:
    """The answer to a request that failed."""

    document: ProblemDocument
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """The JSON body."""
        return self.document.model_dump_json(exclude_none=True).encode("utf-8") + b"\n"


def api_problem(error: Exception, request_id: str, *, challenge: str) -> ApiProblem:
    """The problem for an error. `challenge` is the value of `WWW-Authenticate` for a 401."""
    usual = problem_for(error, challenge=challenge)
    status, code = _kind(error)
    if status is None:
        status = usual.status
    headers = usual.headers if status == usual.status else ()
    if isinstance(error, MethodNotOffered):
        headers = (("Allow", ", ".join(error.allowed)),)
    faults = _faults(error)
    document = ProblemDocument(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=usual.message if not faults else _first_of(faults),
        code=code,
        request_id=request_id,
        errors=faults,
    )
    return ApiProblem(document, headers)


def _kind(error: Exception) -> tuple[int | None, str]:
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return status, code
    return None, "unavailable" if problem_for(error, challenge="").status == HTTPStatus.SERVICE_UNAVAILABLE else "error"


def _faults(error: Exception) -> list[FaultDocument] | None:
    if isinstance(error, BadRequest):
        return [FaultDocument(place=fault.place, message=fault.message) for fault in error.faults]
    if isinstance(error, InvalidWish):
        return [FaultDocument(place=_place(fault.field), message=fault.message) for fault in error.faults]
    return None


def _first_of(faults: list[FaultDocument]) -> str:
    more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{faults[0].place}: {faults[0].message}{more}"


def _place(field: str) -> str:
    """Where a member of a wish is in a request."""
    name, bracket, rest = field.partition("[")
    return f"query.{name}" if name == "user" else f"body.{WISH_FIELDS.get(name, name)}{bracket}{rest}"
