"""What a registry answers to the parts of a push and of a delete; e2e/test_doctor_proxies.py tries real ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokenserver.doctor.checks.trial import Trial, check_delete, check_upload_body, check_upload_start, upload_url
from tokenserver.doctor.findings import Finding
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome

URL = "https://registry.example.com"
PAGE = {"server": "nginx/1.22", "content_type": "text/html"}
ERRORS = {"errors": [{"code": "X"}]}


def answer(status: int, body: Any = b"", **headers: str) -> HttpAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, {name.replace("_", "-"): (value,) for name, value in headers.items()}, content, 0.0)


def told(found: Finding | None) -> tuple[str, bool | None]:
    assert found is not None
    assert (found.fix is None) is (found.ok is True)
    return found.check, found.ok


def test_what_a_client_requests() -> None:
    """A push reads what is there, too."""
    assert str(Trial("push", "web/site").scope) == "repository:web/site:pull,push"
    assert str(Trial("delete", "web/site").scope) == "repository:web/site:pull,delete"


@pytest.mark.parametrize(
    "location",
    [
        f"{URL}/v2/web/site/blobs/uploads/1?_state=x",
        "/v2/web/site/blobs/uploads/1",
        "https://REGISTRY.example.com:443/v2/web/site/blobs/uploads/1",
    ],
)
def test_an_upload_that_goes_on_where_it_began(location: str) -> None:
    """Absolute or relative, however its host is spelled."""
    begun = answer(202, location=location)
    assert check_upload_start(begun, URL, "web/site") is None
    assert str(upload_url(begun, URL)).startswith(f"{URL}/v2/web/site/blobs/uploads/1")


@pytest.mark.parametrize(
    ("url", "location", "words"),
    [
        (URL, "http://registry.example.com/v2/x", "X-Forwarded-Proto"),
        ("http://registry.example.com:5000", "http://registry.example.com/v2/x", "with its port"),
        (URL, "https://registry:5000/v2/x", "set http.host to https://registry.example.com"),
        (f"{URL}/images", "/v2/x", "with the path that the proxy has for it"),
        (URL, "http://[x/", "correct http.host"),
    ],
)
def test_an_upload_that_is_sent_elsewhere(url: str, location: str, words: str) -> None:
    """The fix depends on what differs; the token stays here."""
    begun = answer(202, location=location)
    found = check_upload_start(begun, url, "web/site")
    assert told(found) == ("upload", False)
    assert found is not None
    assert words in str(found.fix)
    there = upload_url(begun, url)
    assert there is None if "[" in location else str(there).startswith(url.removesuffix("/images"))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(answer(200), ("upload", False), id="no Location"),
        pytest.param(answer(405, b"<html>", **PAGE), ("proxy", False), id="a proxy for GET only"),
        pytest.param(answer(405, ERRORS), ("upload", False), id="read-only"),
        pytest.param(answer(401, b"<html>", www_authenticate="Basic", **PAGE), ("proxy", False), id="a password"),
        pytest.param(answer(401, ERRORS, www_authenticate="Bearer x"), ("upload", False), id="not allowed"),
        pytest.param(answer(500, ERRORS), ("upload", False), id="broken"),
        pytest.param(answer(307, location="/x"), ("redirect", False), id="redirected"),
        pytest.param(FetchFailure(FailureReason.CLOSED, "x"), ("registry", False), id="closed"),
    ],
)
def test_an_upload_that_does_not_start(outcome: Outcome, expected: tuple[str, bool]) -> None:
    """The registry's own reasons, and those of what is in front of it."""
    assert told(check_upload_start(outcome, URL, "web/site")) == expected


@pytest.mark.parametrize(
    ("outcome", "expected", "words"),
    [
        pytest.param(answer(202), ("upload", True), "can be uploaded", id="well"),
        pytest.param(answer(413, b"<html>", **PAGE), ("upload", False), "nginx/1.22 refuses a layer", id="too large"),
        pytest.param(FetchFailure(FailureReason.CLOSED, "x"), ("upload", False), "is closed while", id="closed"),
        pytest.param(FetchFailure(FailureReason.TIMEOUT, "x"), ("registry", False), "in time", id="silent"),
        pytest.param(answer(404, b"<html>", **PAGE), ("proxy", False), "no registry answers", id="lost"),
        pytest.param(answer(416, ERRORS), ("upload", False), "416 instead of 202", id="another"),
    ],
)
def test_the_layer(outcome: Outcome, expected: tuple[str, bool], words: str) -> None:
    """Its size is what proxies refuse, in one way or another."""
    found = check_upload_body(outcome, URL, "web/site")
    assert told(found) == expected
    assert words in found.message


@pytest.mark.parametrize(
    ("outcome", "expected", "words"),
    [
        pytest.param(answer(404, ERRORS), ("delete", True), "can be deleted", id="well"),
        pytest.param(answer(405, ERRORS), ("delete", False), "not enabled", id="not enabled"),
        pytest.param(answer(405, b"<html>", **PAGE), ("proxy", False), "does not pass this method", id="proxy"),
        pytest.param(answer(401, ERRORS, www_authenticate="Bearer x"), ("delete", False), "delete from", id="denied"),
        pytest.param(answer(500, ERRORS), ("delete", False), "answered with 500", id="broken"),
    ],
)
def test_a_delete(outcome: Outcome, expected: tuple[str, bool], words: str) -> None:
    """404 for what does not exist is the right answer."""
    found = check_delete(outcome, URL, "web/site")
    assert told(found) == expected
    assert words in found.message
