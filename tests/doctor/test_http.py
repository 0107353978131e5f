"""Responses: headers by their first value, the Bearer challenge among others, and redirects."""

from __future__ import annotations

import pytest

from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, ready_parts


def answer(status: int = 401, **headers: tuple[str, ...]) -> HttpAnswer:
    return HttpAnswer(status, {name.replace("_", "-"): values for name, values in headers.items()}, b"canary", None)


def test_headers() -> None:
    """The first value; None without one."""
    found = answer(date=("one", "two"), empty=())
    assert (found.header("date"), found.header("empty"), found.header("absent")) == ("one", None, None)


@pytest.mark.parametrize(
    ("challenges", "expected"),
    [
        pytest.param(('Bearer realm="a"',), 'Bearer realm="a"', id="alone"),
        pytest.param(('bearer realm="a"',), 'bearer realm="a"', id="case"),
        pytest.param(('Basic realm="a"', 'Bearer realm="b"'), 'Bearer realm="b"', id="second"),
        pytest.param(('Basic realm="a"',), None, id="basic"),
        pytest.param((), None, id="none"),
    ],
)
def test_bearer(challenges: tuple[str, ...], expected: str | None) -> None:
    """Schemes are case-insensitive (RFC 9110, section 11.1)."""
    assert answer(www_authenticate=challenges).bearer() == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, False), (300, False), (301, True), (302, True), (303, True), (304, False), (307, True), (308, True)],
)
def test_redirects(status: int, expected: bool) -> None:
    """Those that send the client elsewhere."""
    assert answer(status).is_redirect is expected


def test_nothing_of_a_response_prints() -> None:
    """Headers and body may hold a token; a failure prints its reason."""
    found = answer(set_cookie=("canary",))
    assert "canary" not in repr(found)
    assert "refused" in repr(FetchFailure(FailureReason.REFUSED, "no"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"parts": {"keys": "ok", "users": "gone"}}', {"keys": "ok", "users": "gone"}, id="parts"),
        pytest.param(b'{"parts": {}}', {}, id="none"),
        pytest.param(b'{"parts": ["keys"]}', {}, id="a-list"),
        pytest.param(b'{"status": "ok"}', {}, id="another-page"),
        pytest.param(b"[]", {}, id="no-mapping"),
        pytest.param(b"<html>", {}, id="html"),
        pytest.param(b"", {}, id="nothing"),
    ],
)
def test_ready_parts(body: bytes, expected: dict[str, str]) -> None:
    """Whatever answers at `/readyz`, it is read or is nothing."""
    assert ready_parts(body) == expected
