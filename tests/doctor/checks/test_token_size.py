"""Whether large tokens reach the registry: what answers of proxies mean, and whose setting is named."""

from __future__ import annotations

import json

import pytest

from tokenserver.doctor.checks.token_size import FEW, MANY, SOME, check_token_size, claims_for, explain_too_large
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome
from tokenserver.documents.base64url import decode_base64url


def answer(status: int, server: str | None = None, body: bytes = b"") -> HttpAnswer:
    return HttpAnswer(status, {} if server is None else {"server": (server,)}, body, None)


USUAL = answer(401)
CLOSED = FetchFailure(FailureReason.CLOSED, "reset")
LATE = FetchFailure(FailureReason.TIMEOUT, "late")


def test_claims_are_as_large_as_those_of_a_token() -> None:
    """Each repository is in them once, with a name of usual length."""
    claims = json.loads(decode_base64url(claims_for(SOME)))
    assert len({entry["name"] for entry in claims["access"]}) == SOME
    assert {len(entry["name"]) for entry in claims["access"]} == {24}
    assert len(claims_for(FEW)) < 2_100
    assert 8192 < len(claims_for(SOME)) < 11_000
    assert 90_000 < len(claims_for(MANY)) < 110_000


def test_a_large_token_that_arrives() -> None:
    """The registry rejects it as it rejects a small one."""
    found = check_token_size(USUAL, {MANY: USUAL})
    assert found is not None
    assert (found.ok, found.fix) == (True, None)
    malformed = answer(500)  # zot 1.4
    assert check_token_size(malformed, {MANY: malformed}) is not None


@pytest.mark.parametrize(
    ("refusal", "who", "setting"),
    [
        pytest.param(
            answer(400, "nginx/1.22.1", b"<h1>400 Bad Request</h1> Request Header Or Cookie Too Large"),
            "nginx in front",
            "set `large_client_header_buffers 4 128k;",
            id="nginx",
        ),
        pytest.param(answer(494, "openresty"), "nginx in front", "set `large_client_header_buffers", id="openresty"),
        pytest.param(answer(400, None, b"<hr>nginx"), "nginx in front", "large_client_header_buffers", id="body-alone"),
        pytest.param(
            answer(400, None, b"Size of a request header field exceeds server limit."),
            "Apache in front",
            "set `LimitRequestFieldSize 131072",
            id="apache",
        ),
        pytest.param(
            answer(400, None, b"Your browser sent an invalid request."),
            "HAProxy in front",
            "set `tune.bufsize 262144",
            id="haproxy",
        ),
        pytest.param(answer(431, "envoy"), "Envoy in front", "set `max_request_headers_kb: 128", id="envoy"),
        pytest.param(
            answer(400, None, b"limit request headers fields size"),
            "gunicorn in front",
            "set `limit_request_field_size",
            id="gunicorn",
        ),
        pytest.param(answer(431), "a proxy in front", "header lines of 128 kB", id="unknown"),
        pytest.param(answer(413), "a proxy in front", "header lines of 128 kB", id="413"),
        pytest.param(answer(414), "a proxy in front", "header lines of 128 kB", id="414"),
        pytest.param(CLOSED, "a proxy in front", "header lines of 128 kB", id="closed"),
    ],
)
def test_a_proxy_that_refuses_it(refusal: Outcome, who: str, setting: str) -> None:
    """A warning with the proxy's setting where ordinary clients fail, and a note where only mirroring tools do."""
    warned = check_token_size(USUAL, {MANY: refusal, SOME: refusal, FEW: refusal})
    assert warned is not None
    assert (warned.ok, who in warned.message, setting in (warned.fix or "")) == (None, True, True), warned
    for outcomes in ({MANY: refusal, SOME: USUAL}, {MANY: refusal, SOME: refusal, FEW: USUAL}):
        noted = check_token_size(USUAL, outcomes)
        assert noted is not None
        assert (noted.ok, noted.fix, who in noted.message, setting in noted.message) == (None, None, True, True), noted


@pytest.mark.parametrize(
    ("usual", "some", "many"),
    [
        pytest.param(LATE, USUAL, USUAL, id="no-answer-to-a-small-one"),
        pytest.param(USUAL, LATE, LATE, id="no-answers"),
        pytest.param(USUAL, USUAL, LATE, id="no-answer-to-a-large-one"),
        pytest.param(USUAL, answer(503), answer(503), id="another-error"),
        pytest.param(answer(400), answer(404), answer(404), id="a-registry-that-says-something-else"),
        pytest.param(USUAL, None, answer(400), id="not-tried-yet"),
    ],
)
def test_what_says_nothing_about_the_size(usual: Outcome, some: Outcome | None, many: Outcome) -> None:
    """No finding is made up."""
    outcomes = {MANY: many} if some is None else {MANY: many, SOME: some, FEW: some}
    assert check_token_size(usual, outcomes) is None


def test_the_token_itself_is_too_large() -> None:
    """A proxy's answer of that kind is a fault; a registry's 400, and another answer of a proxy, are not about it."""
    found = explain_too_large(answer(400, "nginx/1.22.1"))
    assert found is not None
    assert (found.ok, found.fix) == (False, "set `large_client_header_buffers 4 128k;` in http or server")
    assert explain_too_large(answer(502, "nginx/1.22.1")) is None
    assert explain_too_large(HttpAnswer(400, {"docker-distribution-api-version": ("2",)}, b"{}", None)) is None
