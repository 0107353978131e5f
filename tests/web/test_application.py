"""The application: what readiness reports, and the published keys."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo

import pytest
from cryptography import x509
from tests_web_server import Server

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.web.application import ReconfigurableApplication


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


def changed(server: Server, text: str, *replacements: tuple[str, str]) -> Settings:
    """The server's configuration with these replacements."""
    for old, new in replacements:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = server.folder / "changed.yaml"
    path.write_text(text)
    return load_settings(path, {})


@pytest.fixture
def started() -> Iterator[Callable[[Server], ReconfigurableApplication]]:
    """Starts applications with their background threads, which end with the test."""
    made: list[ReconfigurableApplication] = []

    def start(server: Server) -> ReconfigurableApplication:
        made.append(ReconfigurableApplication(server.parts))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()
        for thread in [*one.threads, *(each for each in threading.enumerate() if each.name.startswith("watch-"))]:
            thread.join(10)
            assert not thread.is_alive()


def test_the_end_of_a_worker_waits_for_what_is_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the storage write last uses when they are stopped; one that hangs is not waited for."""
    written = threading.Event()
    hangs = threading.Event()

    def writers(_server: object, stop: threading.Event) -> list[threading.Thread]:
        def write() -> None:
            stop.wait()
            time.sleep(0.05)
            written.set()

        threads = [threading.Thread(target=work, daemon=True) for work in (write, hangs.wait)]
        for thread in threads:
            thread.start()
        return threads

    monkeypatch.setattr("tokenserver.server.running.RunningServer.watch_files", writers)
    monkeypatch.setattr("tokenserver.web.application.FINISH_SECONDS", 0.5)
    live = ReconfigurableApplication(server.parts)
    live.start()
    begin = time.monotonic()
    live.finish()
    assert written.is_set()
    assert 0.4 < time.monotonic() - begin < 5
    hangs.set()
    for thread in live.threads:
        thread.join(10)


def test_other_settings_answer_the_next_request(
    server: Server, started: Callable[[Server], ReconfigurableApplication]
) -> None:
    """Challenge, headers, trusted proxies and pages are those of the new settings, in the same application."""
    text = (server.folder / "tokenserver-True-1.yaml").read_text()
    live = started(server)
    client = live.flask.test_client()
    wrong = {"headers": {"Authorization": "Basic Zm9v"}}
    before = client.get("/token?service=reg", **wrong)
    assert 'realm="auth.example.com"' in before.headers["WWW-Authenticate"]
    places = live.flask.wsgi_app.endpoint.places  # type: ignore[attr-defined]  # it is a TokenFront
    live.apply(
        changed(server, text, ("issuer: auth.example.com", "issuer: new"), ("http://localhost", "https://localhost"))
    )
    after = client.get("/token?service=reg", **wrong)
    assert 'realm="new"' in after.headers["WWW-Authenticate"]
    assert "Strict-Transport-Security" not in before.headers
    assert "Strict-Transport-Security" in after.headers
    assert "Strict-Transport-Security" in client.get("/healthz").headers
    assert live.flask.wsgi_app.endpoint.places is places  # type: ignore[attr-defined]
    several = "/token?service=reg&scope=repository:a:pull&scope=repository:b:pull"
    assert client.get(several).status_code == 200
    live.apply(changed(server, text, ("anonymous: true", "anonymous: true\nlimits: {scopes: 1}")))
    assert client.get(several).status_code == 400
    live.apply(changed(server, text, ("- service: reg", "- service: reg2")))
    assert [client.get(f"/ca.pem?service={name}").status_code for name in ("reg", "reg2")] == [404, 200]


def test_refused_settings_leave_everything_running(
    server: Server, started: Callable[[Server], ReconfigurableApplication]
) -> None:
    """The same answers, and the same background threads."""
    text = (server.folder / "tokenserver-True-1.yaml").read_text()
    live = started(server)
    threads = {one.name for one in live.threads}
    with pytest.raises(LoadError, match="no-such-folder"):
        live.apply(changed(server, text, ("policies: policies", "policies: no-such-folder")))
    assert live.parts is server.parts
    assert all(one.is_alive() for one in live.threads)
    live.apply(changed(server, text, ("anonymous: true", "anonymous: false")))
    assert {one.name for one in live.threads} == threads == {"rotate-keys", "audit-trail", "issuers"}
    assert all(one.is_alive() for one in live.threads)
    assert live.flask.test_client().get("/token?service=reg").status_code == 401
