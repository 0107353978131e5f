"""CORS: pages of the configured origins can ask for tokens and read every answer, and pages of others cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_web_server import CONFIG, PASSWORDS, Lines, Server

from tokenserver.config.load import load_settings
from tokenserver.errors import InvalidRequest, Overloaded
from tokenserver.server.compose import build
from tokenserver.web.application import application
from tokenserver.web.cors import AllowedOrigins
from tokenserver.web.routes import TokenFront
from tokenserver.web.token_endpoint import TokenAnswer

UI = "https://ui.example.com"
LOCAL = "http://localhost:8080"
TOKEN = "/token?service=reg&scope=repository:public/x:pull"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def server(server_folder: Path) -> Server:
    """A server that two pages may ask."""
    return server_for(server_folder, f"cors: ['{UI}', '{LOCAL}']")


def server_for(folder: Path, setting: str) -> Server:
    """A server over the session's files, with one more key in its `server` section."""
    config = folder / "tokenserver-cors.yaml"
    text = CONFIG.format(registries="  - service: reg\n  - service: other", anonymous="true")
    config.write_text(text.replace("server: {", f"server: {{{setting}, "))
    audit = Lines()
    parts = build(load_settings(config, {}), sink=audit)
    return Server(parts, application(parts).test_client(), audit, folder)


def cors_of(headers: Any) -> dict[str, str]:
    """The headers of the CORS protocol in an answer; browsers accept each of them once."""
    names = [name for name, _ in headers if name.startswith("Access-Control-")]
    assert len(names) == len(set(names))
    return {name: value for name, value in headers if name.startswith("Access-Control-")}


READABLE = {
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After, X-Request-Id",
}


@pytest.mark.parametrize("origin", [UI, LOCAL])
@pytest.mark.parametrize("path", ["/token", "/auth/token", "/auth"])
def test_a_preflight_is_allowed_without_a_body(server: Server, origin: str, path: str) -> None:
    """What a browser asks before a request with a password; it costs no exchange, and leaves no event."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    response = server.client.options(f"{path}?service=reg", headers=asked)
    assert (response.status_code, response.data) == (204, b"")
    assert cors_of(response.headers) == {
        **READABLE,
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Max-Age": "600",
    }
    assert response.headers["Vary"] == "Authorization, Origin"
    assert "Content-Type" not in response.headers
    assert "Content-Length" not in response.headers
    assert server.audit.events == []


def test_a_token_is_readable(server: Server) -> None:
    """The page gets the very token that any client would."""
    response = server.client.get(TOKEN, headers={"Origin": UI})
    assert response.status_code == 200
    assert cors_of(response.headers) == {**READABLE, "Access-Control-Allow-Origin": UI}
    assert response.headers.getlist("Vary") == ["Authorization, Origin"]
    assert response.headers["Cache-Control"] == "no-store"


FAR = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
FORM_OF_NOTHING = {"method": "POST", "data": "x=y", "content_type": FORM}

FAILURES = [
    pytest.param(TOKEN, {}, {"Authorization": "Basic eDp5"}, 401, id="wrong password"),
    pytest.param("/token?service=none", {}, {}, 400, id="unknown registry"),
    pytest.param("/token?password=x", {}, {}, 400, id="unreadable query"),
    pytest.param(TOKEN, {"method": "POST", "json": {}}, {}, 415, id="no form"),
    pytest.param("/token", FORM_OF_NOTHING, {}, 400, id="unreadable form"),
    pytest.param(TOKEN, {}, {"Transfer-Encoding": "gzip"}, 400, id="coding"),
    pytest.param(TOKEN, FAR, {}, 403, id="plain http"),
    pytest.param(TOKEN, {"method": "PUT"}, {}, 405, id="method"),
]


@pytest.mark.parametrize(("target", "options", "headers", "status"), FAILURES)
def test_a_failure_is_readable(
    server: Server, target: str, options: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """A user interface can show why there is no token; without these headers a browser hides even the status."""
    response = server.client.open(target, headers={**headers, "Origin": UI}, **options)
    assert response.status_code == status
    assert cors_of(response.headers) == {**READABLE, "Access-Control-Allow-Origin": UI}
    assert response.headers.getlist("Vary") == ["Authorization, Origin"]


@pytest.mark.parametrize(("target", "options", "headers", "status"), FAILURES)
@pytest.mark.parametrize("origin", [None, "https://other.example.com"])
def test_a_failure_is_hidden_from_other_pages(
    server: Server, target: str, options: dict[str, Any], headers: dict[str, str], status: int, origin: str | None
) -> None:
    """And caches know that the answer depends on the origin, also if none was sent."""
    sent = headers if origin is None else {**headers, "Origin": origin}
    response = server.client.open(target, headers=sent, **options)
    assert response.status_code == status
    assert cors_of(response.headers) == {}
    assert response.headers.getlist("Vary") == ["Authorization, Origin"]


def test_a_full_server_is_readable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and 429 as well, with the seconds to wait."""

    def full(_: object) -> None:
        raise Overloaded("requests", "full", 3)

    monkeypatch.setattr(type(server.parts.admission), "__enter__", full)
    response = server.client.get(TOKEN, headers={"Origin": UI})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "3")
    assert cors_of(response.headers)["Access-Control-Allow-Origin"] == UI


def test_a_body_that_is_not_read_is_answered_readably(server: Server) -> None:
    """What a server that reads bodies by itself answers, before and while it reads one."""
    front = server.client.application.wsgi_app
    assert isinstance(front, TokenFront)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/token", "REMOTE_ADDR": "127.0.0.1", "HTTP_ORIGIN": UI}
    refused = front.admit_body({**environ, "CONTENT_TYPE": "text/plain"})
    assert isinstance(refused, TokenAnswer)
    for answer in (refused, front.give_up(environ, InvalidRequest("it was cut off"))):
        assert ("Access-Control-Allow-Origin", UI) in answer.headers


OTHERS = [
    *("https://other.example.com", "http://ui.example.com", "https://ui.example.com:8443", "https://ui.example.com/"),
    *("https://ui.example.com.", "https://UI.example.com", "https://evil-ui.example.com", "https://x.ui.example.com"),
    *(f"{UI}, {UI}", f"{UI},{LOCAL}", f" {UI}", "null", "*", "", "http://localhost", "http://localhost:80800"),
]


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_get_nothing(server: Server, origin: str) -> None:
    """Not even a near miss: an answer as before, without any header of CORS, and no preflight."""
    response = server.client.get(TOKEN, headers={"Origin": origin})
    assert response.status_code == 200
    assert cors_of(response.headers) == {}
    preflight = server.client.options(TOKEN, headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    assert (preflight.status_code, preflight.headers["Allow"]) == (405, "GET, POST")
    assert cors_of(preflight.headers) == {}
    assert preflight.headers["Vary"] == "Authorization, Origin"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/ca.pem", "/.well-known/jwks.json", "/none"])
def test_the_other_pages_are_not_shared(server: Server, path: str) -> None:
    """A user interface needs none of them."""
    assert cors_of(server.client.get(path, headers={"Origin": UI}).headers) == {}


def test_without_the_setting_nothing_changes(server_folder: Path) -> None:
    """No header, no preflight, and caches need not distinguish origins."""
    server = server_for(server_folder, "cors: []")
    response = server.client.get(TOKEN, headers={"Origin": UI})
    assert cors_of(response.headers) == {}
    assert response.headers["Vary"] == "Authorization"
    assert server.client.options(TOKEN, headers={"Origin": UI}).status_code == 405


def test_a_password_from_a_page(server: Server) -> None:
    """A page with a log-in of its own sends what every client sends."""
    form = {"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}
    response = server.client.post("/token", data=urlencode(form), content_type=FORM, headers={"Origin": LOCAL})
    assert response.status_code == 200
    assert cors_of(response.headers) == {**READABLE, "Access-Control-Allow-Origin": LOCAL}
    assert server.audit.events[-1]["subject"] == "ann"


@given(origin=st.text(max_size=40) | st.sampled_from([UI, LOCAL]))
def test_any_origin(origin: str) -> None:
    """Only an origin that is configured is ever repeated."""
    answer = AllowedOrigins([UI, LOCAL]).admit({"HTTP_ORIGIN": origin}, TokenAnswer(200, [], b""))
    assert (answer.headers != []) == (origin in (UI, LOCAL))
    assert json.dumps(answer.headers).count(origin) == 1 or origin not in (UI, LOCAL)
