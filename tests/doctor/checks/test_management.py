"""The listener for management at its public URL: who answers there instead, each with its fix."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.checks.management import PROBE, OurManagement, check_management
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome

OURS = OurManagement("https://account.example.com", "127.0.0.1:5002", "auth.example.com", "c.yaml")
CHALLENGE = 'Basic realm="auth.example.com", charset="UTF-8"'
NEEDED = {"status": 401, "code": "authentication_required"}
PROXY = "or let the proxy in front of it send requests to 127.0.0.1:5002 (server.management), the path unchanged"


def answer(status: int, body: Any, challenge: str | None = None) -> HttpAnswer:
    """An answer of whatever is at the URL."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if challenge is None else {"www-authenticate": (challenge,)}
    return HttpAnswer(status, headers, content, 0.0)


def test_pages_and_the_api() -> None:
    """The API asks for credentials, in the name of the issuer."""
    found = check_management(answer(401, NEEDED, CHALLENGE), OURS)
    assert (found.check, found.ok, found.theirs) == ("management", True, OURS.url)
    assert PROBE == "/api/v1/whoami"


@pytest.mark.parametrize(
    ("outcome", "check", "message", "fix"),
    [
        pytest.param(
            answer(404, {"errors": [{"code": "UNSUPPORTED"}]}),
            "management",
            "server.management_url leads to the public listener, which has no pages and no API",
            f"correct it in c.yaml, {PROXY}",
            id="public listener",
        ),
        pytest.param(
            answer(401, NEEDED, CHALLENGE.replace("auth", "other")),
            "management",
            "another token server answers at server.management_url, or a proxy replaces WWW-Authenticate",
            "correct server.management_url in c.yaml, or the proxy in front of it",
            id="another server",
        ),
        pytest.param(
            answer(401, NEEDED),
            "management",
            "another token server answers at server.management_url, or a proxy replaces WWW-Authenticate",
            "correct server.management_url in c.yaml, or the proxy in front of it",
            id="no challenge",
        ),
        pytest.param(
            answer(403, {"code": "plain_http"}),
            "management",
            "pages and the API at server.management_url reject requests as plain http",
            "let the proxy in front of it send X-Forwarded-Proto: https,"
            " and list it in server.trusted_proxies in c.yaml",
            id="a proxy without a scheme",
        ),
        pytest.param(
            answer(503, {"code": "unavailable"}),
            "management",
            "pages and the API at server.management_url cannot answer now",
            "wait and retry; /readyz and the log say what is wrong",
            id="overloaded",
        ),
        pytest.param(
            answer(401, b"<html>", 'Basic realm="intranet"'),
            "management",
            "server.management_url does not lead to pages and the API: /api/v1/whoami is answered with 401",
            f"correct server.management_url in c.yaml, {PROXY}",
            id="a proxy's own password",
        ),
        pytest.param(
            answer(200, {"login": "ann"}),
            "management",
            "server.management_url does not lead to pages and the API: /api/v1/whoami is answered with 200",
            f"correct server.management_url in c.yaml, {PROXY}",
            id="another API",
        ),
        pytest.param(
            answer(405, {"errors": [{"code": "UNSUPPORTED"}]}),
            "management",
            "server.management_url does not lead to pages and the API: /api/v1/whoami is answered with 405",
            f"correct server.management_url in c.yaml, {PROXY}",
            id="another error",
        ),
        pytest.param(
            FetchFailure(FailureReason.REFUSED, "connection refused"),
            "management",
            "nothing listens at account.example.com",
            "start it, or correct the URL and its port",
            id="nothing",
        ),
        pytest.param(
            FetchFailure(FailureReason.CERTIFICATE, "hostname mismatch"),
            "tls",
            "the certificate of account.example.com is not trusted: hostname mismatch",
            "use the name that its certificate has, or get a certificate for account.example.com",
            id="certificate",
        ),
    ],
)
def test_what_is_there_instead(outcome: Outcome, check: str, message: str, fix: str) -> None:
    """One fault, and how to fix it."""
    found = check_management(outcome, OURS)
    assert (found.check, found.ok, found.message, found.fix) == (check, False, message, fix)


def test_a_url_that_is_plain_http() -> None:
    """No proxy makes that right."""
    ours = OurManagement("http://account.example.com", OURS.listens, OURS.issuer, OURS.config)
    found = check_management(answer(403, {"code": "plain_http"}), ours)
    assert found.fix == "serve https there, and write https:// in server.management_url in c.yaml"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["code", "errors", "x"]), inner),
)


@given(st.integers(200, 599), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer(status: int, body: bytes) -> None:
    """A foreign server gets one finding, and is never taken for ours."""
    found = check_management(answer(status, body), OURS)
    assert (found.ok, found.is_actionable) == (False, True)
