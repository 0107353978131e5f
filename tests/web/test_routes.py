"""Routes: health, read-only pages, no debug mode, and tokens from the token paths only."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests_web_server import Server

from tokenserver.web.application import other_pages, token_endpoint
from tokenserver.web.routes import TOKEN_PATHS, create_app


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
    broken = replace(other_pages(server.parts), ca_pem=lambda _: 1 // 0)  # type: ignore[arg-type, return-value]  # it never returns
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
