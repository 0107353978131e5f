"""Error responses: each error's status, codes and headers, and the body for each kind of client."""

from __future__ import annotations

import json

import pytest

from tokenserver import errors
from tokenserver.web.parameters import BodyTooSlow, RequestTooLarge, UnsupportedMediaType
from tokenserver.web.problems import RETRY_AFTER, Problem, problem_for

CHALLENGE = 'Basic realm="auth.example.com"'
REFUSED = (("WWW-Authenticate", CHALLENGE),)
LATER = "the service cannot answer now, try again later"


def after(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(seconds)),)


@pytest.mark.parametrize(
    ("error", "status", "code", "oauth", "headers"),
    [
        pytest.param(
            errors.InvalidCredentials("wrong_password"), 401, "UNAUTHORIZED", "invalid_grant", REFUSED, id="password"
        ),
        pytest.param(
            errors.AuthenticationRequired(), 401, "UNAUTHORIZED", "invalid_client", REFUSED, id="no-credentials"
        ),
        pytest.param(errors.PlainHttp(), 403, "DENIED", "invalid_request", (), id="plain-http"),
        pytest.param(
            errors.Throttled(17), 429, "TOOMANYREQUESTS", "temporarily_unavailable", after(17), id="throttled"
        ),
        pytest.param(
            errors.UnsupportedGrantType("x"), 400, "UNSUPPORTED", "unsupported_grant_type", (), id="grant-type"
        ),
        pytest.param(errors.InvalidRequest("x"), 400, "UNSUPPORTED", "invalid_request", (), id="request"),
        pytest.param(errors.TooManyScopes("x"), 400, "UNSUPPORTED", "invalid_request", (), id="scopes"),
        pytest.param(BodyTooSlow("x"), 408, "UNSUPPORTED", "invalid_request", (), id="slow-body"),
        pytest.param(RequestTooLarge("x"), 413, "UNSUPPORTED", "invalid_request", (), id="large-body"),
        pytest.param(UnsupportedMediaType("x"), 415, "UNSUPPORTED", "invalid_request", (), id="media-type"),
        pytest.param(
            errors.BackendUnavailable("corp", "timeout", 9),
            503,
            "UNAVAILABLE",
            "temporarily_unavailable",
            after(9),
            id="directory",
        ),
        pytest.param(
            errors.AuditUnavailable("x"),
            503,
            "UNAVAILABLE",
            "temporarily_unavailable",
            after(RETRY_AFTER),
            id="audit-trail",
        ),
        pytest.param(errors.TokenMismatch("x"), 500, "UNAVAILABLE", "server_error", (), id="wrong-claims"),
        pytest.param(ZeroDivisionError("x"), 500, "UNAVAILABLE", "server_error", (), id="bug"),
    ],
)
def test_each_error(error: Exception, status: int, code: str, oauth: str, headers: tuple[tuple[str, str], ...]) -> None:
    """The whole table but for the messages."""
    problem = problem_for(error, challenge=CHALLENGE)
    assert (problem.status, problem.code, problem.oauth, problem.headers) == (status, code, oauth, headers)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(errors.InvalidRequest("service: is missing"), "service: is missing", id="fixable"),
        pytest.param(errors.InvalidCredentials("unknown user"), "wrong user name or password", id="credentials"),
        pytest.param(errors.UnusableAccessKey("key 3f9K of ci-web ended", "has expired"), "has expired", id="own-key"),
        pytest.param(errors.BackendUnavailable("corp", "10.0.0.1 refused"), LATER, id="directory"),
        pytest.param(errors.SigningFailed("key 7"), LATER, id="signing"),
        pytest.param(errors.TokenMismatch("sub"), "internal error", id="wrong-claims"),
        pytest.param(OSError(2, "No such file", "/etc/keys"), "internal error", id="bug"),
    ],
)
def test_messages(error: Exception, message: str) -> None:
    """Clients learn what they can fix, and nothing about the server."""
    assert problem_for(error, challenge=CHALLENGE).message == message


def test_a_wrong_password_has_one_message() -> None:
    """Whatever the reason is."""
    found = {problem_for(errors.InvalidCredentials(reason), challenge=CHALLENGE) for reason in ("unknown", "wrong")}
    assert len(found) == 1


def test_bodies() -> None:
    """`errors` for new clients, `details` for old ones; OAuth's members only on POST (RFC 6749, section 5.2)."""
    problem = Problem(400, "UNSUPPORTED", "invalid_request", 'not "ä"')
    get, post = json.loads(problem.body(oauth=False)), json.loads(problem.body(oauth=True))
    assert get == {
        "errors": [{"code": "UNSUPPORTED", "message": 'not "ä"', "detail": None}],
        "details": 'not "ä"',
    }
    assert post == get | {"error": "invalid_request", "error_description": 'not "ä"'}
    assert problem.body(oauth=True).isascii()
