"""The application: what readiness reports, and the published keys."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo

import pytest
from cryptography import x509
from tests_web_server import Server


def test_readyz_names_each_part(server: Server) -> None:
    """Keys, policies, each user source, the files as they are now, and the audit trail."""
    response = server.client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {
        "ready": True,
        "parts": {"keys": "ok", "policies": "ok", "htpasswd": "ok", "files": "ok", "audit": "ok"},
    }


def test_readyz_is_503_while_changed_files_are_refused(server: Server) -> None:
    """A broken policy keeps the last good one live, and readiness reports it until the file is fixed."""
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
    """Registries refuse its tokens, so this server is not ready (docs/design/threats.md#threat-70)."""
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
    """See docs/design/threats.md#threat-72."""
    (key,) = server.client.get("/.well-known/jwks.json").get_json()["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
    assert key["kid"]


def test_ca_pem_is_the_token_ca(server: Server) -> None:
    """What goes into `rootcertbundle`: one CA certificate and no key."""
    response = server.client.get("/ca.pem")
    assert b"PRIVATE" not in response.data
    certificate = x509.load_pem_x509_certificate(response.data)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
