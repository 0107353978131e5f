"""Routes: health, read-only pages, no debug mode, and tokens from the token paths only."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests_web_server import PASSWORDS, Server

from tokenserver.web.application import status_of, token_endpoint
from tokenserver.web.routes import TOKEN_PATHS, TokenFront, create_app
from tokenserver.web.status.endpoints import STATUS_PATHS


def test_healthz_is_cheap_and_well(server: Server) -> None:
    """200 while the process answers."""
    response = server.client.get("/healthz")
    assert response.status_code == 200
    assert response.get_json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/ca.pem", "/.well-known/jwks.json"])
def test_other_pages_are_read_only(server: Server, path: str) -> None:
    """Other methods are 405 (docs/design/threats.md#threat-103)."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        response = server.client.open(path, method=method)
        assert response.status_code == 405
        assert "GET" in response.headers["Allow"]


def test_there_is_no_debug_mode(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLASK_DEBUG=1 changes nothing; an error shows no traceback and no console (docs/design/threats.md#threat-101)."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    broken = replace(status_of(server.parts), ca_pem=lambda _: 1 // 0)  # type: ignore[arg-type, return-value]  # it never returns
    app = create_app(token_endpoint(server.parts), broken)
    assert not app.debug
    response = app.test_client().get("/ca.pem")
    assert response.status_code == 500
    assert b"Traceback" not in response.data
    assert response.get_json()["details"] == "internal server error"
    assert app.test_client().get("/console").status_code == 404


@given(
    path=st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=30),
    agent=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("", "curl/8")
@example("/healthz/../token", "kube-probe/1.30")
@example("/token;x", "GoogleHC/1.0")
@example("/%74oken/", "ELB-HealthChecker/2.0")
def test_only_the_token_paths_give_tokens(server: Server, path: str, agent: str) -> None:
    """No other path, and no User-Agent, leads to a token (docs/design/threats.md#threat-102)."""
    response = server.client.get("/" + quote(path), headers={"User-Agent": agent})
    gives_token = b'"token"' in response.data
    assert gives_token == ("/" + path in TOKEN_PATHS)


@pytest.fixture
def kept(server: Server) -> FlaskClient:
    """A server whose proxy keeps the path of its public URL, /registry-auth."""
    return create_app(token_endpoint(server.parts), status_of(server.parts), prefix="/registry-auth").test_client()


EVERY_PATH = sorted(TOKEN_PATHS | STATUS_PATHS)


@pytest.mark.parametrize("path", EVERY_PATH)
def test_every_path_is_answered_below_the_prefix_and_at_the_root(kept: FlaskClient, path: str) -> None:
    """A proxy may keep the prefix or strip it; the answers are alike."""
    answers = [kept.get(f"{prefix}{path}?service=reg") for prefix in ("", "/registry-auth")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content_type == answers[1].content_type
    if path not in TOKEN_PATHS:
        assert answers[0].data == answers[1].data


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_methods_below_the_prefix(kept: FlaskClient, path: str, method: str) -> None:
    """405, as at the root."""
    assert kept.open(f"/registry-auth{path}", method=method).status_code == 405


NOT_BELOW = [
    *("/registry-auth/registry-auth/token", "/registry-authtoken", "/registry-auth/token/", "/registry-auth//token"),
    *("/REGISTRY-AUTH/token", "/registry-auth/Token", "/registry-auth/../token"),
    *("/registry-auth/./token", "/registry-auth/token/x", "/registry-auth/healthz/x", "/x/registry-auth/token"),
    *("/registry-auth//", "/registry-auth/x", "/registry", "/registry-auth;x/token", "/registry-auth/%74oken/"),
]


@pytest.mark.parametrize("path", NOT_BELOW)
def test_no_other_path_is_below_the_prefix(kept: FlaskClient, path: str) -> None:
    """404, and never a redirect, which would turn a client's POST into a GET."""
    response = kept.get(f"{path}?service=reg")
    assert response.status_code == 404
    assert b"token" not in response.data


def test_the_front_page_links_below_the_prefix(kept: FlaskClient) -> None:
    """Relative links, right with and without the closing slash."""
    with_slash = kept.get("/registry-auth/").get_json()
    assert (with_slash["token_endpoint"], with_slash["pages"][0]) == ("./token", "healthz")
    without = kept.get("/registry-auth").get_json()
    assert (without["token_endpoint"], without["pages"][0]) == ("./registry-auth/token", "registry-auth/healthz")
    page = kept.get("/registry-auth", headers={"Accept": "text/html"}).get_data(as_text=True)
    assert 'href="registry-auth/ca.pem"' in page
    assert 'href="ca.pem"' in kept.get("/registry-auth/", headers={"Accept": "text/html"}).get_data(as_text=True)


def test_a_post_below_the_prefix(kept: FlaskClient) -> None:
    """The form is read there as well."""
    form = {"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}
    assert kept.post("/registry-auth/token", data=form).status_code == 200


@pytest.mark.parametrize("prefix", ["/auth", "/token", "/healthz", "/auth/token"])
def test_a_prefix_that_is_a_path_itself(server: Server, prefix: str) -> None:
    """What the path means at the root comes first, and everything is answered below it."""
    client = create_app(token_endpoint(server.parts), status_of(server.parts), prefix=prefix).test_client()
    at_root = client.get(f"{prefix}?service=reg").get_json()
    assert ("token" in at_root) == (prefix in TOKEN_PATHS)
    assert "token" in client.get(f"{prefix}/token?service=reg").get_json()
    assert client.get(f"{prefix}/readyz").get_json()["ready"]
    assert client.get(f"{prefix}/").get_json()["name"] == "tokenserver"


def test_a_changed_url_changes_the_paths(server: Server) -> None:
    """While the server runs: the old prefix is gone, and the new one is there."""
    apps = [create_app(token_endpoint(server.parts), status_of(server.parts), prefix=one) for one in ("/old", "/new")]
    fronts = [app.wsgi_app for app in apps]
    assert all(isinstance(front, TokenFront) for front in fronts)
    client = apps[0].test_client()
    fronts[0].replace(fronts[1])  # type: ignore[attr-defined]  # as the line above says
    statuses = [client.get(f"{path}?service=reg").status_code for path in ("/old/token", "/new/token", "/new/healthz")]
    assert statuses == [404, 200, 200]
