"""Problems: the status, the code and the headers of every kind of error, and that nothing else is told."""

from __future__ import annotations

import pytest

from tokenserver.errors import (
    AuditUnavailable,
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    InvalidRequest,
    Overloaded,
    PlainHttp,
    Throttled,
)
from tokenserver.management.refusals import Conflict, InvalidWish, MayNotManage, NotFoundHere, ProofTooOld
from tokenserver.web.api.faults import (
    BadRequest,
    CrossSiteRequest,
    KeyReused,
    MethodNotOffered,
    StillInProgress,
    UnknownPath,
)
from tokenserver.web.api.problems import api_problem
from tokenserver.web.parameters import BodyTooSlow, RequestTooLarge, UnsupportedMediaType

CHALLENGE = {"WWW-Authenticate": "Basic"}


@pytest.mark.parametrize(
    ("error", "status", "code", "headers"),
    [
        (UnknownPath("x"), 404, "unknown_path", {}),
        (NotFoundHere("x"), 404, "not_found", {}),
        (MethodNotOffered({"POST", "GET"}), 405, "method_not_offered", {"Allow": "GET, POST"}),
        (ProofTooOld(), 403, "login_too_old", {}),
        (MayNotManage("x"), 403, "may_not_manage", {}),
        (CrossSiteRequest("x"), 403, "cross_site", {}),
        (PlainHttp(), 403, "plain_http", {}),
        (Conflict("x"), 409, "conflict", {}),
        (StillInProgress("x"), 409, "in_progress", {}),
        (KeyReused("x"), 422, "idempotency_key_reused", {}),
        (InvalidCredentials("reason"), 401, "invalid_credentials", CHALLENGE),
        (AuthenticationRequired(), 401, "authentication_required", CHALLENGE),
        (Throttled(7), 429, "throttled", {"Retry-After": "7"}),
        (BodyTooSlow("x"), 408, "body_too_slow", {}),
        (RequestTooLarge("x"), 413, "too_large", {}),
        (UnsupportedMediaType("x"), 415, "unsupported_media_type", {}),
        (InvalidRequest("x"), 400, "invalid_request", {}),
        (BadRequest.at("query", "x"), 400, "invalid_request", {}),
        (InvalidWish.of("name", "x"), 400, "invalid_request", {}),
        (BackendUnavailable("corp", "secret reason", 9), 503, "unavailable", {"Retry-After": "9"}),
        (Overloaded("requests", "full", 1), 503, "unavailable", {"Retry-After": "1"}),
        (AuditUnavailable("full disk"), 503, "unavailable", {"Retry-After": "5"}),
        (ValueError("secret reason"), 500, "error", {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error(error: Exception, status: int, code: str, headers: dict[str, str]) -> None:
    """Members of RFC 9457, and two of our own."""
    problem = api_problem(error, "r1", challenge="Basic")
    assert (problem.document.status, problem.document.code, dict(problem.headers)) == (status, code, headers)
    assert (problem.document.type, problem.document.request_id) == ("about:blank", "r1")
    assert problem.document.title
    for hidden in (b"secret reason", b"reason", b"full disk", b"corp"):
        assert hidden not in problem.body


def test_places_of_wishes() -> None:
    """By the names of this API."""
    wish = InvalidWish([*InvalidWish.of("services[1]", "x").faults, *InvalidWish.of("lifetime", "y").faults])
    problem = api_problem(wish, "r", challenge="").document
    places = [fault.place for fault in problem.errors or ()]
    assert (places, problem.detail) == (
        ["body.registries[1]", "body.lifetime_seconds"],
        "body.registries[1]: x; and 1 more",
    )
    user = api_problem(InvalidWish.of("user", "x"), "r", challenge="").document
    assert [fault.place for fault in user.errors or ()] == ["query.user"]
