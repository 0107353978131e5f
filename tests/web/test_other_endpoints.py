"""The other endpoints: health, readiness, keys."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from urllib.parse import quote

import pytest
from cryptography import x509
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


def test_readyz_names_each_part(server: Server) -> None:
    """Keys, policies, each user source, the files as they are now, and the audit trail."""
    response = server.client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {
        "ready": True,
        "parts": {"keys": "ok", "policies": "ok", "htpasswd": "ok", "files": "ok", "audit": "ok"},
    }


def test_readyz_is_503_while_changed_files_are_refused(server: Server) -> None:
    """A broken policy keeps the last good one live, and readiness says so; mending it mends readiness."""
    policy = server.folder / "policies" / "policy.yaml"
    good = policy.read_text()
    try:
        policy.write_text("version: 1\nalow: []\n")
        server.parts.live.look()
        server.parts.live.look()
        response = server.client.get("/readyz")
        assert response.status_code == 503
        assert response.get_json()["parts"]["files"] != "ok"
        assert server.client.get("/token?service=reg").status_code == 200
    finally:
        policy.write_text(good)
        os.utime(policy)
    server.parts.live.look()
    server.parts.live.look()
    assert server.client.get("/readyz").status_code == 200


def test_readyz_is_503_when_the_signing_certificate_is_past(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat 70: registries refuse its tokens, so this server is not ready."""
    from tokenserver.server import running as parts

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # one form is called
            return datetime.now(tz) + timedelta(days=4000)

    monkeypatch.setattr(parts, "datetime", Later)
    response = server.client.get("/readyz")
    assert response.status_code == 503
    assert "expired" in response.get_json()["parts"]["keys"]


def test_jwks_holds_public_parts_only(server: Server) -> None:
    """Threat 72."""
    (key,) = server.client.get("/.well-known/jwks.json").get_json()["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
    assert key["kid"]


def test_ca_pem_is_the_token_ca(server: Server) -> None:
    """What goes into `rootcertbundle`: one CA certificate and no key."""
    response = server.client.get("/ca.pem")
    assert b"PRIVATE" not in response.data
    certificate = x509.load_pem_x509_certificate(response.data)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/ca.pem", "/.well-known/jwks.json"])
def test_other_pages_are_read_only(server: Server, path: str) -> None:
    """Threat 103: other methods are 405."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        response = server.client.open(path, method=method)
        assert response.status_code == 405
        assert "GET" in response.headers["Allow"]


def test_there_is_no_debug_mode(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat 101: FLASK_DEBUG=1 changes nothing; an error shows no traceback and no console."""
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
@example("/healthz/../token", "kube-probe/1.30")
@example("/token;x", "GoogleHC/1.0")
@example("/%74oken/", "ELB-HealthChecker/2.0")
def test_only_the_token_paths_give_tokens(server: Server, path: str, agent: str) -> None:
    """Threat 102: no other path, and no User-Agent, leads to a token."""
    response = server.client.get("/" + quote(path), headers={"User-Agent": agent})
    gives_token = b'"token"' in response.data
    assert gives_token == ("/" + path in TOKEN_PATHS)
