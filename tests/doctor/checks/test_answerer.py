"""Who answered; e2e/test_doctor_proxies.py asks the same of a real nginx."""

from __future__ import annotations

import json
from typing import Any

import pytest
from doctor_worlds import ours_of

from tokenserver.doctor.checks.answerer import (
    check_answerer,
    check_login_seen,
    check_no_token_sent,
    check_only_tokens,
    check_replicas,
    check_token_endpoint,
    check_token_seen,
)
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer

BEARER = 'Bearer realm="https://a/token",service="s"'
VERSION = {"docker-distribution-api-version": "registry/2.0"}
PAGE = {"server": "nginx/1.22", "content-type": "text/html"}


def answer(status: int, body: Any = b"", **headers: str) -> HttpAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, {name.replace("_", "-"): (value,) for name, value in headers.items()}, content, 0.0)


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(answer(200, **VERSION), id="Distribution"),
        pytest.param(answer(404, b"<html>", **VERSION), id="Distribution behind a proxy with a page for 404"),
        pytest.param(answer(401, {"errors": []}, server="nginx", www_authenticate='Basic realm="x"'), id="zot"),
        pytest.param(answer(200, {}, server="nginx"), id="an object"),
        pytest.param(answer(401, b"<html>", **PAGE, www_authenticate=BEARER), id="a Bearer challenge with a page"),
        pytest.param(answer(307, b"<html>", **PAGE, location="/x"), id="a redirect, which has a finding of its own"),
        pytest.param(answer(200), id="nothing that gives anybody away"),
        pytest.param(answer(401, **PAGE), id="a challenge that got lost"),
    ],
)
def test_answers_of_a_registry(outcome: HttpAnswer) -> None:
    """No proxy is suspected."""
    assert check_answerer(outcome) is None


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        pytest.param(answer(401, b"<html>", www_authenticate='Basic realm="x"', **PAGE), "asks for Basic", id="basic"),
        pytest.param(answer(401, b"x", www_authenticate="Negotiate", server="x"), "asks for Negotiate", id="negotiate"),
        pytest.param(answer(200, b"<html>", **PAGE), "a page for people (HTML)", id="login page"),
        pytest.param(answer(200, b" <!doctype html>"), "a page for people (HTML)", id="page without headers"),
        pytest.param(answer(200, server="nginx/1.22"), "without the header of a registry", id="path cut off"),
        pytest.param(answer(404, b"<html>", **PAGE), "no registry answers", id="not found"),
        pytest.param(answer(403, b"<html>", **PAGE), "forbids", id="forbidden"),
        pytest.param(answer(502, b"<html>", **PAGE), "cannot reach the registry", id="bad gateway"),
        pytest.param(answer(503, b"<html>", **PAGE), "has no way to the registry", id="unavailable"),
        pytest.param(answer(504, b"<html>", **PAGE), "gets no answer in time", id="timeout"),
        pytest.param(answer(200, {"no": 1}, content_type="text/html"), "", id="JSON is JSON"),
    ],
)
def test_answers_of_something_else(outcome: HttpAnswer, words: str) -> None:
    """It is named by what it says about itself, with what to change there."""
    found = check_answerer(outcome, "/v2/a/tags/list")
    if not words:
        assert found is None
        return
    assert found is not None
    assert (found.check, found.ok, words in found.message) == ("proxy", False, True), found.message


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param({"www_authenticate": BEARER}, "drops or replaces", id="dropped"),
        pytest.param({"www_authenticate": BEARER, "age": "7"}, "a cache answers", id="Age"),
        pytest.param({"www_authenticate": BEARER, "x_cache": "HIT from x"}, "a cache answers", id="X-Cache"),
        pytest.param({"www_authenticate": BEARER + ',error="invalid_token"'}, None, id="seen"),
        pytest.param({"www_authenticate": 'Basic realm="x"'}, None, id="another challenge"),
    ],
)
def test_a_token_that_does_not_arrive(headers: dict[str, str], words: str | None) -> None:
    """Distribution says of junk that it is junk."""
    found = check_token_seen(answer(401, **headers, **VERSION))
    assert (found is None) if words is None else (found is not None and words in found.message)


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(answer(401, www_authenticate=BEARER), id="zot, which never says so"),
        pytest.param(answer(200, **VERSION), id="open"),
        pytest.param(FetchFailure(FailureReason.CLOSED, ""), id="no answer"),
    ],
)
def test_where_nothing_can_be_told(outcome: HttpAnswer | FetchFailure) -> None:
    """Only Distribution's 401 tells whether a token arrived."""
    assert check_token_seen(outcome) is None


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        pytest.param(answer(200, {"token": "x"}), None, id="ours"),
        pytest.param(answer(401, {"details": "x"}, server="nginx"), None, id="ours through a proxy"),
        pytest.param(answer(302, b"<html>", **PAGE), None, id="a redirect"),
        pytest.param(answer(401, b"<html>", **PAGE), "refuses the login", id="another login"),
        pytest.param(answer(502, b"<html>", **PAGE), "cannot reach it", id="nothing behind it"),
        pytest.param(answer(200, b"<html>", **PAGE), "a page for people", id="a page"),
        pytest.param(answer(200, b"ok", server="x"), "something that is not JSON", id="text"),
    ],
)
def test_the_token_endpoint(outcome: HttpAnswer, words: str | None) -> None:
    """Our server answers in JSON whatever happens."""
    found = check_token_endpoint(outcome, "https://a/token")
    assert (found is None) if words is None else (found is not None and words in found.message)


def test_a_login_that_does_not_arrive() -> None:
    """The token is for nobody."""
    assert check_login_seen({"sub": "ann"}, "https://a/token") is None
    for claims in ({}, {"sub": ""}):
        found = check_login_seen(claims, "https://a/token")
        assert found is not None
        assert found.check == "proxy"


@pytest.mark.parametrize(
    ("statuses", "differ"), [([200, 200], False), ([401, 500], False), ([200, 401], True), ([], False)]
)
def test_replicas(statuses: list[int], differ: bool) -> None:
    """Accepted one time and rejected another."""
    assert (check_replicas(statuses) is not None) is differ


OURS = answer(400, {"errors": []}, x_request_id="1")


@pytest.mark.parametrize(
    ("endpoint", "published", "is_accepted"),
    [
        pytest.param(OURS, answer(404, b"<html>", **PAGE), True, id="the other paths are the proxy's"),
        pytest.param(answer(401, {"errors": []}, x_request_id="1"), answer(403), True, id="forbidden"),
        pytest.param(OURS, answer(200, {"keys": []}), False, id="other keys"),
        pytest.param(OURS, answer(404, {"errors": []}, x_request_id="2"), False, id="our own 404"),
        pytest.param(answer(400, {"errors": []}), answer(404), False, id="somebody else's endpoint"),
        pytest.param(answer(404, b"<html>", **PAGE), answer(404), False, id="no endpoint"),
        pytest.param(FetchFailure(FailureReason.CLOSED, ""), answer(404), False, id="no answer"),
    ],
)
def test_a_proxy_that_passes_tokens_alone(
    endpoint: HttpAnswer | FetchFailure, published: HttpAnswer, is_accepted: bool
) -> None:
    """It is fine, as long as the token endpoint is ours."""
    found = check_only_tokens(endpoint, published, ours_of())
    assert (found is not None) is is_accepted
    assert found is None or not found.is_actionable


NONE = answer(401, {"errors": [{"code": "UNAUTHORIZED"}]}, www_authenticate=f'{BEARER},scope=""')
OLD = answer(401, {"errors": [{"code": "UNAUTHORIZED"}]}, www_authenticate=f'{BEARER},scope="repository::pull"')
UNUSABLE = answer(401, {"errors": [{"code": "UNSUPPORTED"}]})


@pytest.mark.parametrize(
    ("outcome", "is_unseen", "was_added"),
    [
        pytest.param(NONE, True, False, id="no token"),
        pytest.param(UNUSABLE, False, True, id="a token that it cannot use"),
        pytest.param(OLD, False, False, id="zot before 2.1.3"),
        pytest.param(answer(500), False, False, id="an error"),
    ],
)
def test_what_zot_has_seen(outcome: HttpAnswer, is_unseen: bool, was_added: bool) -> None:
    """Since 2.1.3 it has one answer to no token and another to one that it cannot use, whoever sent it."""
    assert (check_token_seen(outcome, is_zot=True) is not None) is is_unseen
    assert (check_no_token_sent(outcome) is not None) is was_added
    assert check_token_seen(outcome) is None
